{{/* The template of a pod; takes `root`, `name` (head, or of the worker group), `group` (its values)
     and `image`. Probes are the operator's: a worker is alive while its node is, and ready while its
     entry answers too. */}}
{{- define "regraft.pod" -}}
{{- $v := .root.Values -}}
{{- $head := eq .name "head" -}}
metadata:
  labels:
    {{- include "regraft.selector" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .name }}
  {{- if not $head }}
  annotations:
    # The operator passes over a change of numbers alone; one of a pod makes a new cluster.
    regraft-pods: {{ printf "%v to %v" (.group.minReplicas | default .group.replicas | default 0) .group.maxReplicas }}
  {{- end }}
spec:
  serviceAccountName: {{ include "regraft.serviceAccount" .root }}
  # The autoscaler's, which runs beside the head.
  automountServiceAccountToken: {{ and $head (eq (include "regraft.scales" .root) "true") }}
  terminationGracePeriodSeconds: {{ int64 $v.drain.graceSeconds }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 1000
    runAsGroup: 1000
    fsGroup: 1000
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: {type: RuntimeDefault}
  {{- with $v.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with .group.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .group.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if eq .name "serve" }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "regraft.selector" .root | nindent 10 }}
          app.kubernetes.io/component: serve
  {{- end }}
  containers:
    - name: {{ ternary "ray-head" "ray-worker" $head }}
      image: {{ printf "%s:%s" .image.repository (.image.tag | default .root.Chart.AppVersion) | quote }}
      imagePullPolicy: {{ $v.image.pullPolicy }}
      ports:
        - {name: serve, containerPort: 8000}
        - {name: serve-grpc, containerPort: 8001}
        - {name: metrics, containerPort: 8080}
        {{- if $head }}
        - {name: gcs-server, containerPort: 6379}
        - {name: dashboard, containerPort: 8265}
        - {name: as-metrics, containerPort: 44217}
        - {name: dash-metrics, containerPort: 44227}
        {{- end }}
      env:
        {{- include "regraft.env" (dict "root" .root "cpus" .group.cpus) | nindent 8 }}
      resources:
        {{- include "regraft.resources" .group | nindent 8 }}
      securityContext:
        {{- include "regraft.confined" . | nindent 8 }}
      {{- if not $head }}
      lifecycle:
        preStop:
          exec:
            command:
              - bash
              - -c
              - |
                {{- include "regraft.drain" $v.drain | nindent 16 }}
      {{- end }}
      volumeMounts:
        - {name: home, mountPath: {{ $v.home.path | quote }}}
        - {name: tmp, mountPath: /tmp}
        {{- if .group.sharedMemory }}
        - {name: shared-memory, mountPath: /dev/shm}
        {{- end }}
  volumes:
    - name: home
      persistentVolumeClaim: {claimName: {{ include "regraft.claim" .root }}}
    - name: tmp
      emptyDir: {sizeLimit: {{ $v.temporaryStorage }}}
    {{- with .group.sharedMemory }}
    - name: shared-memory
      emptyDir: {medium: Memory, sizeLimit: {{ . }}}
    {{- end }}
{{- end }}

{{- define "regraft.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* What is asked for is what there is: a pod is never ended for another's sake. */}}
{{- define "regraft.resources" -}}
{{- range $kind := list "requests" "limits" }}
{{- if eq $kind "limits" }}{{ printf "\n" }}{{ end }}
{{- $kind }}:
  cpu: {{ $.cpus | quote }}
  memory: {{ $.memory }}
  {{- if $.gpus }}
  nvidia.com/gpu: {{ $.gpus | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Ray moves the replicas of the node that this pod's raylet is to others. Where it cannot, the pod
     goes on answering for as long, while the endpoints of services forget it. */}}
{{- define "regraft.drain" -}}
node=$(cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\n' | sed -n 's/^--node_id=//p' | head -n 1)
ray drain-node --node-id "$node" --reason DRAIN_NODE_REASON_PREEMPTION \
  --reason-message "The pod ends." --deadline-remaining-seconds {{ int64 .graceSeconds }}
sleep {{ int64 .seconds }}
{{- end }}
