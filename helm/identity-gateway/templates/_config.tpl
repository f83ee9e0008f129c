{{/*
The program's configuration file.

Helm's own `toToml` turns whole numbers into decimal ones (numbers of values files are floats in its engine), which the
program refuses. This writes tables, strings, whole numbers, booleans and lists as TOML 1.0; zero and false are values like
any other, only null is nothing.
*/}}

{{/* A value on one line. */}}
{{- define "identity-gateway.toml.value" -}}
{{- if kindIs "string" . -}}
{{- mustToJson . -}}
{{- else if kindIs "bool" . -}}
{{- . -}}
{{- else if kindIs "slice" . -}}
{{- $items := list -}}
{{- range . -}}{{- $items = append $items (include "identity-gateway.toml.value" .) -}}{{- end -}}
[{{ join ", " $items }}]
{{- else if kindIs "map" . -}}
{{- $items := list -}}
{{- range $key, $value := . -}}
{{- if not (kindIs "invalid" $value) -}}
{{- $items = append $items (printf "%s = %s" (include "identity-gateway.toml.key" $key) (include "identity-gateway.toml.value" $value)) -}}
{{- end -}}
{{- end -}}
{ {{- join ", " $items -}} }
{{- else if eq (float64 .) (float64 (int64 .)) -}}
{{- printf "%d" (int64 .) -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end }}

{{- define "identity-gateway.toml.key" -}}
{{- if regexMatch "^[A-Za-z0-9_-]+$" . -}}{{ . }}{{- else -}}{{ mustToJson . }}{{- end -}}
{{- end }}

{{/* A table: its values first, then the tables in it; call with (dict "path" "" "table" $config). */}}
{{- define "identity-gateway.toml.table" -}}
{{- $path := .path -}}
{{- $lines := list -}}
{{- range $key, $value := .table -}}
{{- if not (or (kindIs "map" $value) (kindIs "invalid" $value)) -}}
{{- $lines = append $lines (printf "%s = %s" (include "identity-gateway.toml.key" $key) (include "identity-gateway.toml.value" $value)) -}}
{{- end -}}
{{- end -}}
{{- if $lines }}
{{- if $path }}
[{{ $path }}]
{{- end }}
{{ join "\n" $lines }}
{{ end }}
{{- range $key, $value := .table -}}
{{- if kindIs "map" $value -}}
{{- $inner := include "identity-gateway.toml.key" $key -}}
{{- if $path -}}{{- $inner = printf "%s.%s" $path $inner -}}{{- end -}}
{{- include "identity-gateway.toml.table" (dict "path" $inner "table" $value) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Which credentials there are, as JSON: their entries of files/credentials.yaml. */}}
{{- define "identity-gateway.credentials" -}}
{{- $secrets := .Values.secrets -}}
{{- $given := $secrets.keys | default list -}}
{{- if $secrets.values -}}{{- $given = keys $secrets.values -}}{{- end -}}
{{- if $secrets.externalSecret.enabled -}}{{- $given = keys ($secrets.externalSecret.remoteRefs | default dict) -}}{{- end -}}
{{- $found := list -}}
{{- range (.Files.Get "files/credentials.yaml" | fromYaml).credentials -}}
{{- if has .key $given -}}{{- $found = append $found . -}}{{- end -}}
{{- end -}}
{{- mustToJson $found -}}
{{- end }}

{{- define "identity-gateway.secretName" -}}
{{- default (include "identity-gateway.fullname" .) .Values.secrets.existingSecret -}}
{{- end }}

{{/* An address with its port. */}}
{{- define "identity-gateway.listen" -}}
{{- if contains ":" .address -}}
{{- printf "[%s]:%d" .address (int64 .port) -}}
{{- else -}}
{{- printf "%s:%d" .address (int64 .port) -}}
{{- end -}}
{{- end }}

{{/* The whole file: `config`, and where the credentials' files are. */}}
{{- define "identity-gateway.toml" -}}
{{- $config := deepCopy .Values.config -}}
{{- range include "identity-gateway.credentials" . | fromJsonArray -}}
{{- if .file -}}
{{- $table := $config -}}
{{- $steps := splitList "." .key -}}
{{- range initial $steps -}}
{{- if not (kindIs "map" (get $table .)) -}}{{- $_ := set $table . dict -}}{{- end -}}
{{- $table = get $table . -}}
{{- end -}}
{{- $name := printf "%s_file" (last $steps) -}}
{{- if hasKey $table $name }}
{{- fail (printf "config.%s_file: is set, and so is the credential %s in secrets; set only one of them" .key .key) }}
{{- end -}}
{{- $_ := set $table $name (printf "/etc/identity-gateway/secrets/%s" .key) -}}
{{- end -}}
{{- end -}}
{{- include "identity-gateway.toml.table" (dict "path" "" "table" $config) | trim }}
{{- end }}
