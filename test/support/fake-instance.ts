import { type Instance, InstanceLoad } from '../../kernel/loader/instance.ts';
import { LocalTarget } from '../../kernel/target.ts';

/** An instance without code, for tests of what happens around instances. */
export interface FakeInstance extends Instance {
  /** Times it was told to stop. */
  readonly stops: number;
  /** Makes it end by itself. */
  crash(how: string): void;
}

/** Makes a fake instance. */
export function fakeInstance(version = '0.1.0'): FakeInstance {
  let crash: (how: string) => void = () => undefined;
  let stops = 0;
  return {
    pluginId: 'test.fake',
    version,
    isolation: 'INLINE',
    digest: '',
    pid: undefined,
    target: new LocalTarget(new Map()),
    http: undefined,
    load: new InstanceLoad(),
    crashed: new Promise<string>((resolve) => {
      crash = resolve;
    }),
    get stops() {
      return stops;
    },
    crash: (how) => crash(how),
    stop: async () => {
      stops += 1;
    },
  };
}
