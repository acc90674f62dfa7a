{{/* What a person may write in several ways, as one thing. daemonset/render/values.py says the same in Python. */}}

{{- define "pure.prefix" -}}
{{- $written := .Values.namespace.pure -}}
{{- $later := .Values.clusterID | default "" -}}
{{- if and $later (ne $written "k8s") (ne $written $later) -}}
{{- fail (printf "values: clusterID is %s and namespace.pure is %s: they are the same thing, keep one" $later $written) -}}
{{- end -}}
{{- $later | default $written -}}
{{- end -}}

{{- define "pure.image" -}}
{{- .Values.image.name }}{{ with .Values.image.tag }}:{{ . }}{{ end -}}
{{- end -}}

{{- define "pure.flexPath" -}}
{{- $path := .Values.flexPath -}}
{{- if and .Values.platform (eq (trimSuffix "/" $path) "/usr/libexec/kubernetes/kubelet-plugins/volume/exec") -}}
{{- $path = index (.Files.Get "platforms.yaml" | fromYaml) .Values.platform -}}
{{- end -}}
{{- regexReplaceAll "(.)/+$" $path "${1}" -}}
{{- end -}}

{{- define "pure.word" -}}
{{- . | toString | lower | quote -}}
{{- end -}}

{{- define "pure.seconds" -}}
{{- regexFind "[0-9]+" (. | toString) | int | toString | quote -}}
{{- end -}}

{{- define "pure.options" -}}
{{- if kindIs "slice" . }}{{ join "," . | quote }}{{ else }}{{ . | default "" | quote }}{{ end -}}
{{- end -}}

{{/* Where a workload's pods run; takes "own", the workload's values, and "Values": own ones win, the deprecated ones follow. */}}
{{- define "pure.nodeSelector" -}}
{{- $found := dict -}}
{{- range $key, $value := coalesce .own.nodeSelector .Values.nodeSelector -}}
{{- $_ := set $found $key ($value | toString) -}}
{{- end -}}
{{- if $found -}}{{ toYaml $found }}{{- end -}}
{{- end -}}

{{- define "pure.tolerations" -}}
{{- with coalesce .own.tolerations .Values.tolerations -}}{{ toYaml . }}{{- end -}}
{{- end -}}

{{- define "pure.affinity" -}}
{{- with coalesce .own.affinity .Values.affinity -}}{{ toYaml . }}{{- end -}}
{{- end -}}

{{/* "yes" on servers from that minor version of Kubernetes 1 on; takes a list: root, "17". */}}
{{- define "pure.since" -}}
{{- $version := (index . 0).Capabilities.KubeVersion.Version -}}
{{- if semverCompare (printf ">=1.%s.0-0" (index . 1)) $version -}}yes{{- end -}}
{{- end -}}

{{/* Pods outside kube-system may have the system's priority classes from 1.17 on (kubernetes/kubernetes#76310). */}}
{{- define "pure.priority" -}}
{{- if or (include "pure.since" (list . "17")) (eq .Release.Namespace "kube-system") -}}yes{{- end -}}
{{- end -}}

{{- define "pure.rbac" -}}
{{- if include "pure.since" (list . "8") -}}
rbac.authorization.k8s.io/v1
{{- else -}}
rbac.authorization.k8s.io/v1beta1
{{- end -}}
{{- end -}}

{{/* Takes a list: root, the older group version. */}}
{{- define "pure.apps" -}}
{{- if include "pure.since" (list (index . 0) "9") -}}apps/v1{{- else -}}{{ index . 1 }}{{- end -}}
{{- end -}}
