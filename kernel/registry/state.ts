import { IllegalTransition } from './errors.ts';

/** Where a plugin is in its life. */
export const PLUGIN_STATES = [
  'DISCOVERED',
  'VERIFIED',
  'RESOLVED',
  'STARTING',
  'STANDBY',
  'ACTIVE',
  'DRAINING',
  'STOPPED',
  'REMOVED',
  'FAILED',
  'DEGRADED',
  'BACKOFF',
  'QUARANTINED',
] as const;

/** One of {@link PLUGIN_STATES}. */
export type PluginState = (typeof PLUGIN_STATES)[number];

/** What can happen to a plugin. */
export const PLUGIN_EVENTS = [
  'verify',
  'quarantine',
  'resolve',
  'start',
  'replace',
  'ready',
  'activate',
  'degrade',
  'drain',
  'stop',
  'crash',
  'give-up',
  'fail',
  'remove',
] as const;

/** One of {@link PLUGIN_EVENTS}. */
export type PluginEvent = (typeof PLUGIN_EVENTS)[number];

/** The whole life cycle. A pair that is not here cannot happen. */
const TABLE: Readonly<Record<PluginState, Partial<Record<PluginEvent, PluginState>>>> = {
  DISCOVERED: { verify: 'VERIFIED', quarantine: 'QUARANTINED', fail: 'FAILED', remove: 'REMOVED' },
  VERIFIED: { resolve: 'RESOLVED', fail: 'FAILED', remove: 'REMOVED' },
  RESOLVED: {
    start: 'STARTING',
    // A reload starts what waits for its first call.
    activate: 'ACTIVE',
    quarantine: 'QUARANTINED',
    fail: 'FAILED',
    stop: 'STOPPED',
    remove: 'REMOVED',
  },
  STARTING: {
    ready: 'STANDBY',
    activate: 'ACTIVE',
    crash: 'BACKOFF',
    'give-up': 'FAILED',
    fail: 'FAILED',
    stop: 'STOPPED',
  },
  STANDBY: { activate: 'ACTIVE', crash: 'BACKOFF', 'give-up': 'FAILED', fail: 'FAILED', stop: 'STOPPED' },
  ACTIVE: {
    // A reload puts a new instance in the place of the old one without leaving service.
    activate: 'ACTIVE',
    // What is exclusive leaves service before its successor comes; calls wait.
    replace: 'STARTING',
    degrade: 'DEGRADED',
    drain: 'DRAINING',
    crash: 'BACKOFF',
    'give-up': 'FAILED',
  },
  DEGRADED: {
    activate: 'ACTIVE',
    // What is exclusive leaves service before its successor comes; calls wait.
    replace: 'STARTING',
    degrade: 'DEGRADED',
    drain: 'DRAINING',
    crash: 'BACKOFF',
    'give-up': 'FAILED',
  },
  DRAINING: { stop: 'STOPPED' },
  STOPPED: { start: 'STARTING', activate: 'ACTIVE', stop: 'STOPPED', remove: 'REMOVED' },
  REMOVED: {},
  FAILED: {
    start: 'STARTING',
    activate: 'ACTIVE',
    // A restart that failed is tried again after the next pause.
    crash: 'BACKOFF',
    'give-up': 'FAILED',
    fail: 'FAILED',
    // The next call starts a lazy plugin again.
    resolve: 'RESOLVED',
    stop: 'STOPPED',
    remove: 'REMOVED',
  },
  BACKOFF: {
    start: 'STARTING',
    activate: 'ACTIVE',
    'give-up': 'FAILED',
    // Its files were changed since its last start.
    quarantine: 'QUARANTINED',
    stop: 'STOPPED',
    remove: 'REMOVED',
  },
  // Stopping changes nothing: as STOPPED it could be started without a check of its signature.
  QUARANTINED: { verify: 'VERIFIED', stop: 'QUARANTINED', remove: 'REMOVED' },
};

/**
 * The state after an event.
 *
 * @throws ILLEGAL_TRANSITION
 */
export function transition(state: PluginState, event: PluginEvent): PluginState {
  const next = TABLE[state][event];
  if (next === undefined) throw new IllegalTransition({ state, event });
  return next;
}
