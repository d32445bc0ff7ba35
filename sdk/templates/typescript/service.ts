import type { ServiceImplementation } from 'lamella/sdk';
import { NameMissing } from './errors.ts';
import type { GreeterService } from './gen/greeter/v1/greeter_service_pb.ts';

/** What the plugin does: one function for each method of the service. */
export function createGreeter(greeting: string): ServiceImplementation<typeof GreeterService> {
  const greet = (name: string): { text: string } => {
    if (name === '') throw new NameMissing({});
    return { text: `${greeting}, ${name}!` };
  };
  return {
    greet: ({ name }) => greet(name),
    async *greetEach(requests) {
      for await (const { name } of requests) yield greet(name);
    },
  };
}
