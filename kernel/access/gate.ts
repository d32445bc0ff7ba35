import type { Call } from '../call.ts';
import { type Interceptor, serviceOf } from '../dispatcher.ts';
import type { CapabilityGuard } from '../capabilities/guard.ts';
import { type Access, type Admission, grpcOperation } from './access.ts';

/** The place of access control in the chain of calls; closed until the kernel has read who may do what. */
export class AccessGate {
  readonly #guard: CapabilityGuard;
  #access: Access | undefined;

  constructor(guard: CapabilityGuard) {
    this.#guard = guard;
  }

  /** From now on decisions are made by these rules. */
  open(access: Access): void {
    this.#access = access;
  }

  get access(): Access {
    if (this.#access === undefined) throw new Error('The kernel has not opened its gate; start it first.');
    return this.#access;
  }

  /** The first interceptor of the chain. */
  interceptor(): Interceptor {
    return { name: 'access', before: (call, path) => this.#before(call, path) };
  }

  #before(call: Call, path: string): void | Promise<void> {
    if (call.caller !== undefined) {
      // A plugin in the kernel's own thread is held to its rights by its host object.
      if (call.isForeign) this.#guard.require(call.caller, 'services', serviceOf(path));
      return undefined;
    }
    const admission = this.access.admit(call.evidence, grpcOperation(path));
    if (!(admission instanceof Promise)) {
      accept(call, admission);
      return undefined;
    }
    return admission.then((accepted) => accept(call, accepted));
  }
}

function accept(call: Call, { principal, withheld }: Admission): void {
  call.principal = principal;
  call.withhold(withheld);
}
