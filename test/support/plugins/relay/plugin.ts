import { type CallContext, definePlugin, type Host, isDeclaredError, type Plugin } from 'lamella/sdk';
import { EchoService } from '../../../../examples/echo/gen/echo/v1/echo_service_pb.ts';

/** The metadata and the time left of a call, as its plugin sees them. */
function seen({ headers, deadlineMs }: CallContext): object {
  const texts = [...headers].map(([name, value]) => [
    name,
    typeof value === 'string' ? value : Buffer.from(value).toString('hex'),
  ]);
  return { headers: Object.fromEntries(texts), deadlineMs };
}

async function relay(host: Host, context: CallContext): Promise<object> {
  const next = host.call(EchoService, { extension: 'neighbour' });
  const { payload } = await next.say({ payload: Buffer.from('see') }, { context });
  return { own: seen(context), next: JSON.parse(Buffer.from(payload).toString()) as object };
}

/** Calls its neighbour when there is no time left for that; tells what came of it. */
async function tooLate(host: Host, context: CallContext): Promise<object> {
  const deadlineMs = Date.now() + 1;
  const outcome = await relay(host, { ...context, headers: context.headers, deadlineMs }).catch(
    (error: unknown) => error,
  );
  const { code, reason } = isDeclaredError(outcome)
    ? outcome
    : (outcome as { code: number; reason?: string });
  return { code, reason };
}

const TELL: Readonly<Record<string, (host: Host, context: CallContext) => object | Promise<object>>> = {
  see: (_host, context) => seen(context),
  relay,
  late: tooLate,
};

/** Answers with what it sees of its call, or has another copy of itself do so. */
const plugin: Plugin = definePlugin({
  start(host) {
    host.serve(EchoService, {
      say: async ({ payload }, context) => {
        const word = Buffer.from(payload).toString();
        const told = await TELL[word]?.(host, context);
        return { payload: Buffer.from(JSON.stringify(told)), version: host.version };
      },
      async *repeat({ payload }) {
        yield { payload };
      },
      join: async () => ({}),
      async *chat() {
        yield {};
      },
    });
  },
});
export default plugin;
