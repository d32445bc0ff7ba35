import { type TSchema, Type } from '../../sdk/index.ts';
import type { LinkTls } from '../link/connection.ts';

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
  readonly plaintext?: boolean;
  readonly tls?: LinkTls;
}
