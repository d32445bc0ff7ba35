import { type TSchema, Type } from '../../sdk/index.ts';
import type { LinkTls } from '../link/connection.ts';
import type { WeightRules } from './load-weight.ts';

const FileSchema = (description: string): TSchema => Type.Optional(Type.String({ description }));

/** Schema of `plugins.<id>.remote` in `config.json`. */
export const RemoteSettingsSchema: TSchema = Type.Object(
  {
    addresses: Type.Optional(
      Type.Array(Type.String(), {
        minItems: 1,
        description:
          'Where the plugin runs, instead of what its manifest says: each `host:port`, or `dns:///name:port` for all machines of a name.',
      }),
    ),
    resolveIntervalMs: Type.Optional(
      Type.Integer({
        minimum: 100,
        description:
          'Time between two looks at the names among them, in milliseconds; 5,000 without it. A machine that fails hurries the next one.',
      }),
    ),
    policy: Type.Optional(
      Type.Union([Type.Literal('least_request'), Type.Literal('weighted_round_robin')], {
        description:
          'Who gets a call: the address with the fewest calls of this kernel (`least_request`, without it), or each in proportion to the load that it reports with its answers (`weighted_round_robin`, gRFC A58). The latter knows what other callers send there.',
      }),
    ),
    weights: Type.Optional(
      Type.Object(
        {
          blackoutMs: Type.Optional(
            Type.Integer({
              minimum: 0,
              description:
                'Time for which the first reports of an address do not count yet, in milliseconds; 10,000 without it.',
            }),
          ),
          expirationMs: Type.Optional(
            Type.Integer({
              minimum: 1_000,
              description: 'Age at which a report counts no longer, in milliseconds; 180,000 without it.',
            }),
          ),
          errorPenalty: Type.Optional(
            Type.Number({
              minimum: 0,
              description:
                'How much failed calls lower the weight of an address: their share of all calls, times this, is added to its load; 1 without it.',
            }),
          ),
        },
        { additionalProperties: false, description: 'How `weighted_round_robin` reads load reports.' },
      ),
    ),
    plaintext: Type.Optional(
      Type.Boolean({
        description: 'Sends plain text beyond this machine; for a mesh whose sidecars encrypt.',
      }),
    ),
    tls: Type.Optional(
      Type.Object(
        {
          caFile: FileSchema("Certificates that may have signed the plugin's; the system's by default."),
          certificateFile: FileSchema("The kernel's own certificate, for plugins that ask who calls."),
          keyFile: FileSchema('Its key.'),
          serverName: FileSchema("Name in the plugin's certificate; the host by default."),
        },
        {
          additionalProperties: false,
          description:
            'Encrypts the connections; needed for addresses beyond this machine. Files are in PEM.',
        },
      ),
    ),
  },
  { additionalProperties: false, description: 'Addresses of a plugin at isolation REMOTE.' },
);

/** Where a plugin at isolation REMOTE runs. */
export interface RemoteSettings {
  readonly addresses?: readonly string[];
  readonly resolveIntervalMs?: number;
  readonly policy?: 'least_request' | 'weighted_round_robin';
  readonly weights?: Partial<WeightRules>;
  readonly plaintext?: boolean;
  readonly tls?: LinkTls;
}

/** What gRFC A58 takes where nothing is said. */
const WEIGHT_DEFAULTS: WeightRules = { blackoutMs: 10_000, expirationMs: 180_000, errorPenalty: 1 };

/** How load reports become weights; `undefined` where calls are not shared out by them. */
export function weightRules({ policy, weights }: RemoteSettings = {}): WeightRules | undefined {
  return policy === 'weighted_round_robin' ? { ...WEIGHT_DEFAULTS, ...weights } : undefined;
}
