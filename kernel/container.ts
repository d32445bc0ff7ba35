import 'reflect-metadata';
import { container as root, type InjectionToken } from 'tsyringe';
import type { Clock } from '../sdk/index.ts';
import { AccessGate } from './access/gate.ts';
import { CallMetrics } from './call-metrics.ts';
import { CapabilityGuard } from './capabilities/guard.ts';
import { Dispatcher } from './dispatcher.ts';
import { EventBus } from './events.ts';
import { interceptors } from './server/interceptors.ts';
import { LoadReports } from './load-reports.ts';
import { createLogger, type KernelLogger, type LogLevel } from './logger.ts';
import { Registrations } from './loader/registrations.ts';
import { LogBook } from './log-book.ts';
import { CallObservers } from './observe/call-observers.ts';
import { MetricsRegistry } from './metrics.ts';
import { ReportedMetrics } from './reported-metrics.ts';
import { Router } from './router.ts';

/** Names of the kernel's own parts, typed. */
export interface KernelParts {
  readonly clock: Clock;
  readonly log: KernelLogger;
  readonly logs: LogBook;
  readonly metrics: MetricsRegistry;
  readonly calls: CallMetrics;
  readonly reported: ReportedMetrics;
  readonly observers: CallObservers;
  readonly loadReports: LoadReports;
  readonly events: EventBus;
  readonly router: Router;
  readonly guard: CapabilityGuard;
  readonly gate: AccessGate;
  readonly registrations: Registrations;
  readonly dispatcher: Dispatcher;
}

/**
 * Builds the kernel's object graph.
 *
 * @remarks Tokens and factories only. Decorators would pin every decorated class in a process-wide map and need
 * constructor metadata that bundlers do not write (docs/decisions/0001). Plugins never see the container.
 */
export function createContainer(level: LogLevel): KernelParts {
  // A fresh container per kernel: tests start many in one process.
  const container = root.createChildContainer();
  const factory = <Name extends keyof KernelParts>(name: Name, make: () => KernelParts[Name]): void => {
    let made: KernelParts[Name] | undefined;
    container.register(token(name), { useFactory: () => (made ??= make()) });
  };
  const get = <Name extends keyof KernelParts>(name: Name): KernelParts[Name] =>
    container.resolve(token(name));
  factory('clock', () => ({ now: () => Date.now() }));
  factory('log', () => createLogger({ level, book: get('logs') }));
  factory('logs', () => new LogBook());
  factory('metrics', () => new MetricsRegistry());
  factory('calls', () => shown(get('metrics'), new CallMetrics(get('router'))));
  factory('reported', () =>
    shown(get('metrics'), new ReportedMetrics((name) => get('metrics').isDeclared(name))),
  );
  factory('observers', () => new CallObservers());
  factory('loadReports', () => new LoadReports());
  factory('events', () => new EventBus(get('clock')));
  factory('router', () => new Router());
  factory('registrations', () => new Registrations((instance) => get('reported').remove(instance)));
  factory('guard', () => new CapabilityGuard());
  factory('gate', () => new AccessGate(get('guard')));
  factory('dispatcher', () => {
    const [gate, calls, observers, log] = [get('gate'), get('calls'), get('observers'), get('log')];
    const loadReports = get('loadReports');
    return new Dispatcher(get('router'), interceptors({ gate, calls, observers, loadReports, log }));
  });
  return {
    clock: get('clock'),
    log: get('log'),
    logs: get('logs'),
    metrics: get('metrics'),
    calls: get('calls'),
    reported: get('reported'),
    observers: get('observers'),
    loadReports: get('loadReports'),
    events: get('events'),
    router: get('router'),
    guard: get('guard'),
    gate: get('gate'),
    registrations: get('registrations'),
    dispatcher: get('dispatcher'),
  };
}

/** Adds what writes its own text to the exposition. */
function shown<Source extends { text(): string | Promise<string> }>(
  metrics: MetricsRegistry,
  source: Source,
): Source {
  metrics.addSource(() => source.text());
  return source;
}

function token<Name extends keyof KernelParts>(name: Name): InjectionToken<KernelParts[Name]> {
  return `kernel/${name}`;
}
