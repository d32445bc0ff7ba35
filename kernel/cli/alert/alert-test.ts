import { durationMs } from '@bufbuild/protobuf/wkt';
import type { TestedAlert, TestedRule } from '../../../proto/gen/lamella/serving/v1/monitor_service_pb.ts';

/** What a rule would do, for scripts. */
export interface RuleView {
  readonly group: string;
  readonly alert: string;
  readonly forMs: number;
  /** Why it cannot be evaluated; empty when it can. */
  readonly problem: string;
  readonly alerts: readonly AlertView[];
}

interface AlertView {
  readonly value: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly silences: readonly string[];
  readonly receivers: readonly string[];
}

/** What a rule would do, for scripts. */
export function testView(rule: TestedRule): RuleView {
  const { group, alert, problem, alerts } = rule;
  const forMs = rule.for === undefined ? 0 : durationMs(rule.for);
  const view = ({ value, labels, annotations, silences, receivers }: TestedAlert): AlertView => ({
    value,
    labels,
    annotations,
    silences,
    receivers,
  });
  return { group, alert, forMs, problem, alerts: alerts.map(view) };
}

/** What a rule would do, for people. */
export function testLines(rule: TestedRule): string[] {
  const { group, alert, forMs, problem, alerts } = testView(rule);
  const name = `${group}/${alert}`;
  if (problem !== '') return [`${name}: ${problem}`];
  if (alerts.length === 0) return [`${name}: gives nothing now`];
  const when = forMs === 0 ? 'at once' : `after ${forMs / 1_000} s`;
  return [`${name}: ${alerts.length} would fire ${when}`, ...alerts.map(alertLine)];
}

function alertLine({ value, labels, silences, receivers }: AlertView): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}=${JSON.stringify(text)}`);
  const told = receivers.length === 0 ? 'tells nobody' : `tells ${receivers.join(', ')}`;
  const end = silences.length === 0 ? told : `silenced by ${silences.join(', ')}`;
  return `  {${pairs.join(', ')}} = ${value}: ${end}`;
}
