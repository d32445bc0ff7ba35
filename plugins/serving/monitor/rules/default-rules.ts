/** The rules that come with the plugin, in Prometheus's syntax: Prometheus itself reads them as well. */
export const DEFAULT_RULE_FILE = `groups:
  - name: inference
    rules:
      - alert: InferenceLatencyHigh
        expr: >-
          histogram_quantile(0.99,
          sum by (model, version, le) (rate(lamella_inference_request_seconds_bucket[5m]))) > 1
        for: 5m
        labels: { severity: warning }
        annotations:
          summary: 'Model {{ $labels.model }} answers slowly'
          description: 'One request in a hundred takes longer than {{ $value | humanizeDuration }}.'
      - alert: InferenceErrorsHigh
        expr: >-
          sum by (model, version) (rate(nv_inference_request_failure{reason!="CANCELED"}[5m]))
          / (sum by (model, version) (rate(nv_inference_request_success[5m]))
          + sum by (model, version) (rate(nv_inference_request_failure{reason!="CANCELED"}[5m]))) > 0.05
        for: 2m
        labels: { severity: critical }
        annotations:
          summary: 'Model {{ $labels.model }} fails'
          description: '{{ $value | humanizePercentage }} of its requests fail.'
      - alert: InferenceQueueLong
        expr: nv_inference_pending_request_count > 100
        for: 1m
        labels: { severity: warning }
        annotations:
          summary: 'Requests wait for model {{ $labels.model }}'
          description: '{{ $value }} requests wait; add instances or send less.'
      - alert: InferenceQueueSlow
        expr: >-
          sum by (model, version) (rate(nv_inference_queue_duration_us[5m]))
          / sum by (model, version) (rate(nv_inference_request_success[5m])) > 500000
        for: 5m
        labels: { severity: warning }
        annotations:
          summary: 'Requests wait long for model {{ $labels.model }}'
          description: 'On average {{ $value | humanize }} microseconds pass in the queue.'
      - alert: InferenceRequestsRefused
        expr: sum by (model, version) (increase(nv_inference_request_failure{reason="REJECTED"}[5m])) > 0
        labels: { severity: warning }
        annotations:
          summary: 'Model {{ $labels.model }} refuses requests'
          description: 'Its queue was full for {{ $value | humanize }} requests in five minutes.'
  - name: drift
    rules:
      - alert: FeatureDrifted
        expr: lamella_drift_stability_index > 0.2
        for: 5m
        labels: { severity: warning }
        annotations:
          summary: 'Requests of model {{ $labels.model }} are not like its training data'
          description: 'Feature {{ $labels.feature }} has a stability index of {{ $value | humanize }}; lamella call MonitorService/ListDrift says since when.'
  - name: plugins
    rules:
      - alert: PluginCrashLoop
        expr: increase(lamella_plugin_crashes_total[10m]) >= 3
        labels: { severity: critical }
        annotations:
          summary: 'Plugin {{ $labels.plugin }} crashes again and again'
          description: 'See lamella plugin logs {{ $labels.plugin }}.'
      - alert: PluginFailed
        expr: lamella_plugin_failed == 1
        labels: { severity: critical }
        annotations:
          summary: 'Plugin {{ $labels.plugin }} does not run'
          description: 'lamella plugin list says why; lamella plugin reload {{ $labels.plugin }} tries again.'
      - alert: PluginCircuitOpen
        expr: lamella_plugin_circuit_open == 1
        for: 1m
        labels: { severity: critical }
        annotations:
          summary: 'Plugin {{ $labels.plugin }} gets no calls'
          description: 'Most of its last calls failed.'
      - alert: CallErrorsHigh
        expr: >-
          sum by (plugin) (rate(lamella_rpc_total{code=~"INTERNAL|UNKNOWN|DATA_LOSS|UNAVAILABLE"}[5m]))
          / sum by (plugin) (rate(lamella_rpc_total[5m])) > 0.05
        for: 5m
        labels: { severity: warning }
        annotations:
          summary: 'Calls of plugin {{ $labels.plugin }} fail'
          description: '{{ $value | humanizePercentage }} of its calls end in an error of the server.'
      - alert: EventLoopBusy
        expr: nodejs_eventloop_utilization_ratio > 0.95
        for: 5m
        labels: { severity: warning }
        annotations:
          summary: 'The kernel has no time left'
          description: 'Its event loop is busy for {{ $value | humanizePercentage }} of the time.'
  - name: monitor
    rules:
      - alert: MetricsLeftOut
        expr: lamella_monitor_series_left_out > 0
        for: 1m
        labels: { severity: warning }
        annotations:
          summary: 'Rules do not see all metrics'
          description: '{{ $value }} series found no room; raise maxSeries of serving.monitor.'
      - alert: NotificationsFail
        expr: increase(lamella_monitor_notifications_failed_total[10m]) > 2
        labels: { severity: warning }
        annotations:
          summary: 'Receiver {{ $labels.receiver }} takes no alerts'
          description: 'Alerts are sent again until it does.'
`;
