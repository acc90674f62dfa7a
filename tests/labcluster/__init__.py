"""Kubernetes on stock kernels: kubelets in guests of the lab, control plane outside at native speed."""
