import type { DescService } from '@bufbuild/protobuf';
import type { Client } from '../../sdk/index.ts';

/** Gives clients of services: a kernel does, or a connection to one. */
export interface ServiceCaller {
  call<Service extends DescService>(service: Service): Client<Service>;
}
