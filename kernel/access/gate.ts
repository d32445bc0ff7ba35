import type { Call } from '../call.ts';
import { type Interceptor, serviceOf } from '../dispatcher.ts';
import { ServiceNotRequired } from '../errors.ts';
import { type Access, type Admission, grpcOperation } from './access.ts';

/** The place of access control in the chain of calls; closed until the kernel has read who may do what. */
export class AccessGate {
  #access: Access | undefined;

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
      checkPlugin(call, path);
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

/** A plugin process may call what its manifest requires; an inline plugin is held to the same by its host object. */
function checkPlugin({ caller = '', callable }: Call, path: string): void {
  if (callable === undefined) return;
  const service = serviceOf(path);
  if (!callable.has(service)) throw new ServiceNotRequired({ plugin: caller, service });
}
