// A FlexVolume provisioner on the library of Kubernetes' storage group: library KUBECONFIG DELAY QPS WORKERS.
// QPS and WORKERS 0 are the library's and the client's own defaults.
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

const name = "peer.library.example.org"

type provisioner struct{ delay time.Duration }

func (p *provisioner) Provision(_ context.Context, options controller.ProvisionOptions) (*v1.PersistentVolume, controller.ProvisioningState, error) {
	time.Sleep(p.delay)
	return &v1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: options.PVName}, Spec: v1.PersistentVolumeSpec{
		PersistentVolumeReclaimPolicy: *options.StorageClass.ReclaimPolicy,
		AccessModes:                   options.PVC.Spec.AccessModes,
		Capacity:                      v1.ResourceList{v1.ResourceStorage: options.PVC.Spec.Resources.Requests[v1.ResourceStorage]},
		PersistentVolumeSource: v1.PersistentVolumeSource{FlexVolume: &v1.FlexPersistentVolumeSource{
			Driver: "example.org/peer", FSType: "xfs", Options: map[string]string{"volume": options.PVName}}},
	}}, controller.ProvisioningFinished, nil
}

func (p *provisioner) Delete(context.Context, *v1.PersistentVolume) error {
	time.Sleep(p.delay)
	return nil
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	config := must(clientcmd.BuildConfigFromFlags("", os.Args[1]))
	delay, qps, workers := must(time.ParseDuration(os.Args[2])), must(strconv.Atoi(os.Args[3])), must(strconv.Atoi(os.Args[4]))
	options := []func(*controller.ProvisionController) error{controller.LeaderElection(false)}
	if qps > 0 {
		config.QPS, config.Burst = float32(qps), 2*qps
	}
	if workers > 0 {
		options = append(options, controller.Threadiness(workers))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	client := must(kubernetes.NewForConfig(config))
	controller.NewProvisionController(ctx, client, name, &provisioner{delay: delay}, options...).Run(ctx)
}
