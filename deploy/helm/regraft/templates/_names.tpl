{{/* The name of the release's objects; a RayService has at most 47 characters. */}}
{{- define "regraft.name" -}}
{{- $name := .Release.Name -}}
{{- if not (contains .Chart.Name $name) }}{{ $name = printf "%s-%s" $name .Chart.Name }}{{ end -}}
{{- $name | trunc 47 | trimSuffix "-" -}}
{{- end }}

{{- define "regraft.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "regraft.selector" . }}
{{- end }}

{{/* What all pods of the release have. `app.kubernetes.io/name` of pods is the operator's. */}}
{{- define "regraft.selector" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: {{ .Chart.Name }}
{{- end }}

{{- define "regraft.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "regraft.name" .) -}}
{{- end }}

{{- define "regraft.claim" -}}
{{- .Values.home.existingClaim | default (printf "%s-home" (include "regraft.name" .)) -}}
{{- end }}

{{/* Whether there are pods to start and end. */}}
{{- define "regraft.scales" -}}
{{- $v := .Values -}}
{{- if or $v.train.enabled $v.gpu.enabled (gt (int $v.serve.maxReplicas) (int $v.serve.replicas)) -}}
true
{{- end -}}
{{- end }}

{{/* What a worker group is for, as Ray's custom resources: quoted once more for a shell. */}}
{{- define "regraft.roles" -}}
{{- $has := dict -}}
{{- range . }}{{ $_ := set $has . 1000 }}{{ end -}}
{{ toJson $has | replace "\"" "\\\"" | printf "\"%s\"" | squote }}
{{- end }}
