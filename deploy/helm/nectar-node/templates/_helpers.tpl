{{- define "nectar-node.name" -}}
{{- printf "%s-%s" .Release.Name "nectar" | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "nectar-node.labels" -}}
app.kubernetes.io/name: nectar-node
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "nectar-node.secret" -}}
{{- if .Values.join.existingSecret -}}{{ .Values.join.existingSecret }}
{{- else if .Values.join.text -}}{{ include "nectar-node.name" . }}-join
{{- end -}}
{{- end -}}
