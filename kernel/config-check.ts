import { Ajv, type ValidateFunction } from 'ajv';
import { KernelConfigSchema } from './config-schema.ts';

/**
 * How the schema of `config.json` is compiled. It is ours, so that it need not be checked by the schema of schemas, and what
 * it compiles to runs too seldom to be worth optimising.
 */
export const COMPILER = {
  useDefaults: true,
  allErrors: true,
  strict: false,
  verbose: true,
  meta: false,
  validateSchema: false,
} as const;

/**
 * Checks a configuration and fills in defaults.
 *
 * @remarks Compiling takes a seventh of the time in which a kernel starts, so in the programs under `dist/bin` this module is
 * replaced by what the schema compiles to (scripts/build-programs.ts).
 */
export const checkKernelConfig: ValidateFunction = new Ajv({
  ...COMPILER,
  code: { optimize: false },
}).compile(KernelConfigSchema);
