import { StoreService } from 'lamella/proto/lamella/data/v1/store_service';
import { RegistryService } from 'lamella/proto/lamella/model/v1/registry_service';
import type { Host } from 'lamella/sdk';
import type { Alert } from './alerts/alert.ts';
import { AlertBook } from './alerts/alert-book.ts';
import { Inhibition } from './alerts/inhibition.ts';
import { RuleWatch } from './alerts/rule-watch.ts';
import { Silences } from './alerts/silences.ts';
import type { MonitorConfig } from './config.ts';
import { DriftWatch } from './drift/drift-watch.ts';
import { InhibitRuleInvalid, WindowTooLarge } from './errors.ts';
import { createReceivers } from './notify/create-receivers.ts';
import type { Receiver } from './notify/receiver.ts';
import { RuleBook } from './rules/rule-book.ts';
import { SampleWindow } from './sample-window.ts';

/** Samples in memory at the most: 40 MB. */
const MAX_SAMPLES = 5_000_000;

/** An alert and why nobody is told of it. */
export interface MutedAlert {
  readonly alert: Alert;
  /** Names of the silences that hold for it. */
  readonly silences: readonly string[];
  /** Id of an alert that holds it back. */
  readonly inhibitedBy: string | undefined;
}

/** Looks at the metrics, evaluates the rules and tells the receivers, again and again. */
export class Monitor {
  readonly window: SampleWindow;
  readonly rules: RuleBook;
  readonly watch: RuleWatch;
  readonly alerts: AlertBook;
  readonly silences: Silences;
  readonly receivers: readonly Receiver[];
  readonly drift: DriftWatch;
  readonly #host: Host;
  readonly #inhibition: Inhibition;
  readonly #leftOut: { set(value: number): void };
  #looking: Promise<void> | undefined;

  /** @throws RECEIVER_INVALID, INHIBIT_RULE_INVALID, WINDOW_TOO_LARGE */
  constructor(host: Host, config: MonitorConfig) {
    const { log, storage } = host;
    this.#host = host;
    const { maxAlerts, maxRules, maxSeries, windowMs } = config;
    this.window = new SampleWindow({ looks: looksOf(config), maxSeries });
    this.rules = new RuleBook({
      storage,
      maxRules,
      hasDefaults: config.defaultRules,
      maxLookbackMs: windowMs,
      onUnreadable: (file, error) => log.error('A rule file is not evaluated', { file, error }),
    });
    this.alerts = new AlertBook(storage, (error) => log.error('An alert could not be kept', { error }));
    this.watch = new RuleWatch({
      window: this.window,
      alerts: this.alerts,
      maxAlerts,
      onProblem: (rule, problem) =>
        log.error('An alert rule could not be evaluated', { rule: rule.id, problem }),
    });
    this.silences = new Silences(storage);
    this.receivers = createReceivers(host, config.receivers);
    this.#inhibition = inhibitionOf(config);
    const { clock, metrics } = host;
    const sources = { store: host.call(StoreService), registry: host.call(RegistryService) };
    this.drift = new DriftWatch({ config: config.drift, sources, storage, clock, log, metrics });
    this.#leftOut = host.metrics.gauge({
      name: 'lamella_monitor_series_left_out',
      help: 'Series that found no room at the last look at the metrics.',
    });
  }

  /** Reads what was kept, then looks every `intervalMs`. */
  async start(intervalMs: number): Promise<void> {
    await this.rules.load();
    await this.alerts.load();
    await this.silences.load();
    await this.drift.load();
    for (const receiver of this.receivers) await receiver.load();
    const timer = setInterval(() => this.#tick(), intervalMs);
    this.#host.own({
      close: async () => {
        clearInterval(timer);
        await this.#looking;
        for (const receiver of this.receivers) await receiver.idle();
      },
    });
  }

  /** Alerts with what holds them back. */
  muted(): MutedAlert[] {
    const nowMs = this.#host.clock.now();
    const inhibited = this.#inhibition.of(this.alerts.firing());
    return this.alerts.all().map((alert) => ({
      alert,
      silences: this.silences.of(alert.labels, nowMs).map(({ name }) => name),
      inhibitedBy: inhibited.get(alert.id),
    }));
  }

  /** A look that takes long must not be overtaken by the next one. */
  #tick(): void {
    this.#looking ??= this.look()
      .catch((error: unknown) => this.#host.log.error('Alert rules could not be evaluated', { error }))
      .finally(() => {
        this.#looking = undefined;
      });
  }

  /** Looks once. */
  async look(): Promise<void> {
    const { clock, metrics } = this.#host;
    await this.drift.look(clock.now());
    const text = await metrics.exposition();
    const nowMs = clock.now();
    this.window.add(text, nowMs);
    this.#leftOut.set(this.window.leftOut);
    await this.watch.evaluate(this.rules.files(), nowMs);
    await this.silences.forgetOld(nowMs);
    const muted = this.muted();
    const open = muted.filter(
      ({ alert, silences, inhibitedBy }) =>
        alert.state === 'firing' && silences.length === 0 && inhibitedBy === undefined,
    );
    for (const receiver of this.receivers) {
      receiver.update(
        open.map(({ alert }) => alert),
        this.alerts.firing(),
      );
    }
  }
}

/** @throws WINDOW_TOO_LARGE */
function looksOf({ intervalMs, maxSeries, windowMs }: MonitorConfig): number {
  const looks = Math.ceil(windowMs / intervalMs) + 1;
  if (looks * maxSeries > MAX_SAMPLES)
    throw new WindowTooLarge({ samples: String(looks * maxSeries), limit: String(MAX_SAMPLES) });
  return looks;
}

function inhibitionOf({ inhibitRules }: MonitorConfig): Inhibition {
  try {
    return new Inhibition(inhibitRules);
  } catch (error) {
    throw new InhibitRuleInvalid({ problem: (error as Error).message });
  }
}
