{{/* The agent's name, by which all of its objects are called. */}}
{{- define "agent.fullname" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "agent.chart" -}}
{{- printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" -}}
{{- end -}}

{{- define "agent.labels" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/name: {{ include "agent.fullname" . }}
app.kubernetes.io/part-of: langgraph-agents
helm.sh/chart: {{ include "agent.chart" . }}
{{- end -}}

{{- define "agent.image" -}}
{{- with .Values.image -}}
{{- .repository -}}{{- if .tag }}:{{ .tag }}{{ end -}}{{- if .digest }}@{{ .digest }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* Of the Secret that an ExternalSecret fills, or that is there. Takes the context, and "-migrate" or "". */}}
{{- define "agent.secretName" -}}
{{- $root := index . 0 -}}
{{- $suffix := index . 1 -}}
{{- if eq $root.Values.secrets.source "externalSecret" -}}
{{- include "agent.fullname" $root }}{{ $suffix }}
{{- else if $suffix -}}
{{- default $root.Values.secrets.existingSecret $root.Values.secrets.existingMigrationSecret -}}
{{- else -}}
{{- $root.Values.secrets.existingSecret -}}
{{- end -}}
{{- end -}}

{{/* The volume whose files are an agent's secrets. Takes the same. */}}
{{- define "agent.secretsVolume" -}}
{{- $root := index . 0 -}}
{{- $suffix := index . 1 -}}
{{- $fullname := include "agent.fullname" $root -}}
- name: secrets
{{- if eq $root.Values.secrets.source "secretsManager" }}
  csi:
    driver: secrets-store.csi.k8s.io
    readOnly: true
    volumeAttributes:
      secretProviderClass: {{ $fullname }}{{ $suffix }}
{{- else }}
  projected:
    sources:
      {{- with include "agent.secretName" . }}
      - secret:
          name: {{ . }}
      {{- end }}
      {{- if or $root.Values.postgresql.enabled $root.Values.valkey.enabled }}
      - secret:
          name: {{ $fullname }}-stores
          items:
            {{- if $root.Values.postgresql.enabled }}
            - key: DATABASE_URI
              path: DATABASE_URI
            {{- end }}
            {{- if $root.Values.valkey.enabled }}
            - key: REDIS_URI
              path: REDIS_URI
            {{- end }}
      {{- end }}
{{- end }}
{{- end -}}

{{/* What the Secrets Store CSI driver's provider of AWS reads. */}}
{{- define "agent.secretObjects" -}}
[{{- range $number, $alias := keys . | sortAlpha -}}
{{- if $number }}, {{ end -}}
{"objectName": {{ get $ $alias | quote }}, "objectType": "secretsmanager", "objectAlias": {{ $alias | quote }}}
{{- end -}}]
{{- end -}}

{{/* Values that no schema can refuse, because it takes two of them. */}}
{{- define "agent.problems" -}}
{{- $lifetimes := .Values.lifetimes -}}
{{- $stores := or .Values.postgresql.enabled .Values.valkey.enabled -}}
{{- if and (eq .Values.secrets.source "existingSecret") (not .Values.secrets.existingSecret) }}
secrets.existingSecret is empty: name the Secret that holds API_KEYS, DATABASE_URI and REDIS_URI, or choose another secrets.source
{{- end }}
{{- if and (eq .Values.secrets.source "externalSecret") (not .Values.secrets.secretStoreRef.name) }}
secrets.secretStoreRef.name is empty: name the SecretStore or ClusterSecretStore that the entries are read from
{{- end }}
{{- if and $stores (eq .Values.secrets.source "secretsManager") }}
secrets.source is secretsManager, and postgresql.enabled or valkey.enabled is true: the entries hold other addresses. Set secrets.source to existingSecret or externalSecret
{{- end }}
{{- if and $stores (ne (toString .Values.config.ENVIRONMENT) "dev") }}
config.ENVIRONMENT is {{ .Values.config.ENVIRONMENT }}, and postgresql.enabled or valkey.enabled is true: these stores have no TLS, no standby and no backup. Set both to false, and name your own in the Secret
{{- end }}
{{- if lt (int $lifetimes.gracePeriod) (add (int $lifetimes.preStop) (int $lifetimes.runTimeout)) }}
lifetimes.gracePeriod is {{ $lifetimes.gracePeriod }}: raise it above preStop and runTimeout together ({{ add (int $lifetimes.preStop) (int $lifetimes.runTimeout) }}), or a stopping pod is killed in the midst of a run
{{- end }}
{{- if .Values.autoscaling }}
{{- if gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas) }}
autoscaling.minReplicas is {{ .Values.autoscaling.minReplicas }}: lower it, or raise autoscaling.maxReplicas ({{ .Values.autoscaling.maxReplicas }})
{{- end }}
{{- end }}
{{- end -}}
