{{/* Names, labels and the values that are computed in more than one place. */}}

{{- define "identity-gateway.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 48 | trimSuffix "-" -}}
{{- end }}

{{/* At most 48 letters: names of objects add up to 14 (`-repeat-always`), and a name holds 63. */}}
{{- define "identity-gateway.fullname" -}}
{{- $name := include "identity-gateway.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 48 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 48 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 48 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "identity-gateway.selector" -}}
app.kubernetes.io/name: {{ include "identity-gateway.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end }}

{{/* Of every object but the pods. */}}
{{- define "identity-gateway.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/name: {{ include "identity-gateway.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ include "identity-gateway.version" . | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: identity-gateway
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/*
An object's annotations: call with (list $ OWN), or (list $ OWN FIXED) where the chart has some of its own. What is nearer to
the object wins.
*/}}
{{- define "identity-gateway.annotations" -}}
{{- $all := dict -}}
{{- range reverse (rest .) -}}{{- $all = merge $all (. | default dict) -}}{{- end -}}
{{- with merge $all ((first .).Values.commonAnnotations | default dict) }}
  annotations:
    {{- toYaml . | nindent 4 }}
{{- end -}}
{{- end }}

{{/*
Helm takes away what a values file sets to `null`, and parts of it are then no more there to be asked. A part that is null is
left out, as if it were switched off; any other value without which nothing can be rendered has its default again
(files/defaults.yaml). Every template calls this first.
*/}}
{{- define "identity-gateway.parts" -}}
{{- $values := .Values -}}
{{- $known := .Files.Get "files/defaults.yaml" | fromYaml -}}
{{- range $known.parts -}}
{{- $table := $values -}}
{{- range splitList "." . -}}
{{- if not (kindIs "map" (get $table .)) -}}{{- $_ := set $table . dict -}}{{- end -}}
{{- $table = get $table . -}}
{{- end -}}
{{- end -}}
{{- range $key, $value := $known.defaults -}}
{{- $table := $values -}}
{{- $steps := splitList "." $key -}}
{{- range initial $steps -}}{{- $table = get $table . -}}{{- end -}}
{{- if kindIs "invalid" (index $table (last $steps)) -}}{{- $_ := set $table (last $steps) $value -}}{{- end -}}
{{- end -}}
{{- end }}

{{- define "identity-gateway.version" -}}
{{- default .Chart.AppVersion .Values.image.tag | trunc 63 | trimAll "-._" -}}
{{- end }}

{{- define "identity-gateway.image" -}}
{{- $repository := .Values.image.repository -}}
{{- with .Values.image.registry }}{{ $repository = printf "%s/%s" (trimSuffix "/" .) $repository }}{{ end -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end }}

{{- define "identity-gateway.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "identity-gateway.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{/* The Service as every cluster resolves it. */}}
{{- define "identity-gateway.host" -}}
{{- printf "%s.%s.svc.cluster.local" (include "identity-gateway.fullname" .) .Release.Namespace -}}
{{- end }}

{{/* A span of time such as 1m30s in milliseconds. */}}
{{- define "identity-gateway.milliseconds" -}}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 -}}
{{- $sum := 0 -}}
{{- range regexFindAll "[0-9]+(ms|s|m|h)" . -1 -}}
{{- $unit := regexFind "[a-z]+" . -}}
{{- $sum = add $sum (mul (trimSuffix $unit . | int64) (get $units $unit)) -}}
{{- end -}}
{{- $sum -}}
{{- end }}

{{/* A span of time in seconds, rounded up. */}}
{{- define "identity-gateway.seconds" -}}
{{- div (add (include "identity-gateway.milliseconds" . | int64) 999) 1000 -}}
{{- end }}

{{/* What of `shutdown.endpointSeconds` the lame-duck time does not cover: the pod waits it before SIGTERM. */}}
{{- define "identity-gateway.preStopSeconds" -}}
{{- $covered := div (include "identity-gateway.milliseconds" .Values.config.server.lame_duck | int64) 1000 -}}
{{- max 0 (sub (int64 .Values.shutdown.endpointSeconds) $covered) -}}
{{- end }}

{{/* preStop, lame duck, drain and margin, one after the other. */}}
{{- define "identity-gateway.graceSeconds" -}}
{{- $preStop := include "identity-gateway.preStopSeconds" . | int64 -}}
{{- $lameDuck := include "identity-gateway.seconds" .Values.config.server.lame_duck | int64 -}}
{{- $drain := include "identity-gateway.seconds" .Values.config.server.drain_timeout | int64 -}}
{{- add $preStop $lameDuck $drain (int64 .Values.shutdown.marginSeconds) -}}
{{- end }}

{{/* Of every container of the chart. */}}
{{- define "identity-gateway.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
privileged: false
readOnlyRootFilesystem: true
{{- end }}

{{/* The pull secrets, once each, as a list of objects. */}}
{{- define "identity-gateway.pullSecrets" -}}
{{- $names := list -}}
{{- range concat (.Values.image.pullSecrets | default list) ((.Values.global).imagePullSecrets | default list) -}}
{{- $name := . -}}
{{- if kindIs "map" . }}{{ $name = .name }}{{ end -}}
{{- $names = append $names $name -}}
{{- end -}}
{{- range uniq $names }}
- name: {{ . }}
{{- end }}
{{- end }}

{{/* Of every pod of the chart. */}}
{{- define "identity-gateway.podSecurity" -}}
{{- with (.Values.security).runAsGroup }}
fsGroup: {{ int64 . }}
fsGroupChangePolicy: OnRootMismatch
runAsGroup: {{ int64 . }}
{{- end }}
runAsNonRoot: true
{{- with (.Values.security).runAsUser }}
runAsUser: {{ int64 . }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* The two extended probes of gRPC and HTTP; call with (dict "root" $ "path" "/readyz" "probe" .Values.probes.readiness). */}}
{{- define "identity-gateway.probe" -}}
{{- if eq .root.Values.probes.mode "grpc" -}}
grpc:
  port: {{ int64 .root.Values.ports.grpc }}
{{- else -}}
httpGet:
  path: {{ .path }}
  port: admin
{{- end }}
{{ toYaml .probe }}
{{- end }}

{{/* Why the values cannot be meant. Nothing is rendered then. */}}
{{- define "identity-gateway.check" -}}
{{- $values := .Values -}}
{{- $secrets := $values.secrets -}}
{{- if eq (int64 $values.ports.grpc) (int64 $values.ports.admin) }}
{{- fail "ports.admin: is the same as ports.grpc" }}
{{- end }}
{{- if not $values.config.auth.mode }}
{{- fail "config.auth.mode: is required: how callers are identified. `jwt`, `keys`, `mtls` or `mesh` (with config.auth.policy_file), or `none`: then whoever reaches the port may call, and the network policy or a mesh says who does. docs/access.md has an example of each" }}
{{- end }}
{{- $sources := list -}}
{{- if $secrets.existingSecret }}{{ $sources = append $sources "secrets.existingSecret" }}{{ end -}}
{{- if $secrets.values }}{{ $sources = append $sources "secrets.values" }}{{ end -}}
{{- if $secrets.externalSecret.enabled }}{{ $sources = append $sources "secrets.externalSecret" }}{{ end -}}
{{- if gt (len $sources) 1 }}
{{- fail (printf "%s: set only one of them" (join " and " $sources)) }}
{{- end }}
{{- if and $secrets.existingSecret (not $secrets.keys) }}
{{- fail "secrets.keys: is required with secrets.existingSecret: the credentials that it contains" }}
{{- end }}
{{- if and $secrets.keys (not $secrets.existingSecret) }}
{{- fail "secrets.existingSecret: is required with secrets.keys: the Secret that contains them" }}
{{- end }}
{{- if $secrets.externalSecret.enabled }}
{{- if not (and $secrets.externalSecret.storeName $secrets.externalSecret.remoteRefs) }}
{{- fail "secrets.externalSecret: storeName and remoteRefs are required" }}
{{- end }}
{{- end }}
{{- $guarded := or $values.sandbox.enabled $values.networkPolicy.enabled (and $values.istio.enabled $values.istio.authorization) $values.linkerd.enabled -}}
{{- if and (include "identity-gateway.open" .) (not $guarded) }}
{{- fail "config.auth.mode: is `none`, and the port is not protected: keep networkPolicy.enabled, or restrict callers with istio.authorization or linkerd, or choose another mode" }}
{{- end }}
{{- if and (eq $values.config.audit.sink "file") (not $values.extraVolumeMounts) }}
{{- fail "config.audit.sink: is `file`, and the root file system is read-only: mount a volume for it (extraVolumes, extraVolumeMounts)" }}
{{- end }}
{{- if and $values.istio.enabled $values.linkerd.enabled }}
{{- fail "istio.enabled and linkerd.enabled: set only one of them" }}
{{- end }}
{{- if and $values.linkerd.enabled (eq $values.probes.mode "grpc") }}
{{- fail "probes.mode: is `grpc`, but Linkerd allows only its mesh to reach the gRPC port, and the kubelet is not part of it: use http" }}
{{- end }}
{{- if and $values.serviceMonitor.enabled $values.podMonitor.enabled }}
{{- fail "serviceMonitor.enabled and podMonitor.enabled: set only one of them, or every pod is scraped twice" }}
{{- end }}
{{- if and $values.grpcRoute.enabled (not $values.grpcRoute.parentRefs) }}
{{- fail "grpcRoute.parentRefs: is required: the Gateways" }}
{{- end }}
{{- if and (has (toString $values.rollout.maxSurge) (list "0" "0%")) (has (toString $values.rollout.maxUnavailable) (list "0" "0%")) }}
{{- fail "rollout: maxSurge and maxUnavailable are both 0, so no pod can be replaced" }}
{{- end }}
{{- if $values.autoscaling.enabled }}
{{- if gt (int64 $values.autoscaling.minReplicas) (int64 $values.autoscaling.maxReplicas) }}
{{- fail "autoscaling.minReplicas: is more than maxReplicas" }}
{{- end }}
{{- if and (eq (int64 $values.autoscaling.cpuPercent) 0) (eq (int64 $values.autoscaling.inFlight) 0) }}
{{- fail "autoscaling: cpuPercent or inFlight is required" }}
{{- end }}
{{- end }}
{{- end }}

{{/* Not empty if the program knows no callers: `auth.mode` is none, or `none` is one of several. */}}
{{- define "identity-gateway.open" -}}
{{- if contains "\"none\"" (toJson .Values.config.auth.mode) }}yes{{ end -}}
{{- end }}
