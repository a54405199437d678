{{/* The environment of every pod; takes `root` and `cpus`, those of the pod. Ray reads its variables
     when its processes start: regraft.reconcile.environment and .node say why each is there. */}}
{{- define "regraft.env" -}}
{{- $v := .root.Values -}}
{{- $body := int64 ($v.settings.max_body | default 67108864) -}}
{{- $folder := "/tmp/ray/haproxy" -}}
# Caches of libraries; the rest of the disk is read-only.
- {name: HOME, value: /tmp}
- {name: REGRAFT_HOME, value: {{ $v.home.path | quote }}}
- {name: REGRAFT_RAY_TEMP_DIR, value: /tmp/ray}
- {name: REGRAFT_HOST, value: 0.0.0.0}
- {name: REGRAFT_PORT, value: "8000"}
- {name: REGRAFT_GRPC_PORT, value: "8001"}
- {name: REGRAFT_AUTH, value: "true"}
- {name: REGRAFT_ROLES, value: "true"}
- {name: REGRAFT_REPLICAS, value: {{ $v.serve.replicas | quote }}}
- {name: REGRAFT_REPLICAS_PER_NODE, value: "1"}
- {name: REGRAFT_THREADS, value: {{ $v.serve.cpus | quote }}}
{{- if $v.artifacts.uri }}
- {name: REGRAFT_ARTIFACTS, value: {{ $v.artifacts.uri | quote }}}
- {name: REGRAFT_NODE_CACHE, value: /tmp/blobs}
{{- end }}
{{- range $name, $value := $v.settings }}
- {name: REGRAFT_{{ upper $name }}, value: {{ include "regraft.text" $value | quote }}}
{{- end }}
{{ include "regraft.secretEnv" .root }}
- {name: RAY_USAGE_STATS_ENABLED, value: "0"}
- {name: RAY_TRAIN_V2_ENABLED, value: "1"}
- {name: RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO, value: "0"}
- {name: RAY_worker_niceness, value: "0"}
- {name: RAY_health_check_period_ms, value: "1000"}
- {name: RAY_health_check_timeout_ms, value: "1000"}
- {name: RAY_health_check_failure_threshold, value: "3"}
- {name: RAY_health_check_initial_delay_ms, value: "1000"}
- {name: SPT_NOENV, value: "1"}
- {name: RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH, value: {{ $body | quote }}}
- {name: RAY_SERVE_GRPC_MAX_MESSAGE_SIZE, value: {{ min (mul 4 $body) 2147483647 | quote }}}
- {name: RAY_SERVE_ENABLE_HA_PROXY, value: "1"}
- {name: RAY_SERVE_THROUGHPUT_OPTIMIZED, value: "1"}
- {name: RAY_SERVE_HAPROXY_BINARY_PATH, value: /opt/regraft/bin/regraft-haproxy}
- {name: RAY_SERVE_HAPROXY_RETRY_ON, value: conn-failure empty-response}
- {name: RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S, value: "300"}
- {name: RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S, value: "60"}
- {name: RAY_SERVE_HAPROXY_TUNE_BUFSIZE, value: "262144"}
- {name: RAY_SERVE_HAPROXY_NBTHREAD, value: {{ max 1 (min 4 (div (int .cpus) 4)) | quote }}}
- {name: RAY_SERVE_HAPROXY_METRICS_ENABLED, value: "0"}
- {name: RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S, value: "300"}
- {name: RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S, value: "2"}
- {name: RAY_SERVE_HAPROXY_CONFIG_FILE_LOC, value: {{ $folder }}/haproxy.cfg}
- {name: RAY_SERVE_HAPROXY_SOCKET_PATH, value: {{ $folder }}/admin.sock}
- {name: RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH, value: {{ $folder }}/metrics.sock}
- {name: RAY_SERVE_HAPROXY_SERVER_STATE_BASE, value: {{ $folder }}}
- {name: RAY_SERVE_HAPROXY_SERVER_STATE_FILE, value: {{ $folder }}/server-state}
# A pod has its ports for itself: none has to be looked for.
- {name: RAY_SERVE_HAPROXY_METRICS_PORT, value: "9101"}
- {name: RAY_SERVE_HAPROXY_STATS_PORT, value: "8404"}
- {name: RAY_SERVE_FALLBACK_PROXY_HTTP_PORT, value: "8500"}
- {name: RAY_SERVE_FALLBACK_PROXY_GRPC_PORT, value: "9500"}
{{- end }}

{{/* The operator adds the Ray token and the password of Redis, by reference as well. */}}
{{- define "regraft.secretEnv" -}}
- name: REGRAFT_DATABASE
  valueFrom: {secretKeyRef: {name: {{ .Values.database.secretName }}, key: {{ .Values.database.key }}}}
{{- with .Values.artifacts.secretName }}
- name: AWS_ACCESS_KEY_ID
  valueFrom: {secretKeyRef: {name: {{ . }}, key: AWS_ACCESS_KEY_ID}}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ . }}, key: AWS_SECRET_ACCESS_KEY}}
{{- end }}
{{- end }}

{{/* A value of a setting; Helm reads whole numbers as fractions, and would write 6.7e+07. */}}
{{- define "regraft.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}{{ int64 . }}{{ else }}{{ . }}{{ end -}}
{{- end }}
