import { type TSchema, Type } from '../../sdk/index.ts';

/** Schema of `accessLog` in the kernel's configuration. */
export const AccessLogConfigSchema: TSchema = Type.Object(
  {
    calls: Type.Union([Type.Literal('off'), Type.Literal('errors'), Type.Literal('all')], {
      default: 'off',
      description: 'Which calls get a line: none, those that failed, or `all`.',
    }),
    sampleRatio: Type.Number({
      default: 1,
      minimum: 0,
      maximum: 1,
      description: 'Share of the calls that went well which gets a line; those that failed always do.',
    }),
    file: Type.String({
      default: 'access.jsonl',
      minLength: 1,
      description: 'Where the lines go: a file, by its path from the home folder, or `stderr`.',
    }),
    fileBytes: Type.Integer({
      default: 10 * 1024 * 1024,
      minimum: 1024,
      description: 'Size at which the file is begun anew, in bytes; four older files are kept.',
    }),
  },
  {
    additionalProperties: false,
    default: {},
    description: 'One line of JSON for each call over gRPC or HTTP.',
  },
);

/** Checked `accessLog` of the kernel's configuration. */
export interface AccessLogConfig {
  readonly calls: 'off' | 'errors' | 'all';
  readonly sampleRatio: number;
  readonly file: string;
  readonly fileBytes: number;
}
