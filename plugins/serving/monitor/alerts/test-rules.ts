import type { MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import type { TestedRuleSchema } from 'lamella/proto/lamella/serving/v1/monitor_service';
import type { Monitor } from '../monitor.ts';
import { EvaluationProblem } from '../promql/vector.ts';
import type { Rule } from '../rules/rule.ts';
import { type Candidate, candidatesOf } from './rule-evaluation.ts';

/** Alerts of one rule that are shown. */
const MOST_ALERTS = 100;

type Tested = MessageInitShape<typeof TestedRuleSchema>;

/** What the rules of a file would do on the samples of now; nothing is kept and nobody is told. @throws RULE_FILE_INVALID */
export function testRules(monitor: Monitor, text: string, nowMs: number): Tested[] {
  const { groups } = monitor.rules.parse(text);
  return groups.flatMap((group) =>
    group.rules.map((rule) => ({
      group: group.name,
      alert: rule.name,
      for: durationFromMs(rule.forMs),
      ...outcomeOf(monitor, rule, nowMs),
    })),
  );
}

function outcomeOf(monitor: Monitor, rule: Rule, nowMs: number): Pick<Tested, 'alerts' | 'problem'> {
  try {
    const candidates = candidatesOf(rule, monitor.window, { timeMs: nowMs, limit: MOST_ALERTS });
    return { alerts: [...candidates.values()].map((candidate) => alertOf(monitor, candidate, nowMs)) };
  } catch (error) {
    if (error instanceof EvaluationProblem) return { problem: error.message };
    throw error;
  }
}

function alertOf(
  { receivers, silences }: Monitor,
  { labels, annotations, value }: Candidate,
  nowMs: number,
): NonNullable<Tested['alerts']>[number] {
  return {
    labels: { ...labels },
    annotations: { ...annotations },
    value,
    silences: silences.of(labels, nowMs).map(({ name }) => name),
    receivers: receivers
      .filter((receiver) => receiver.takes(labels))
      .map((receiver) => receiver.health().name),
  };
}
