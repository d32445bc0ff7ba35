import type { Logger } from 'lamella/sdk';
import { RequestInvalid } from './errors.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Value of a log setting. */
export type LogSetting = boolean | number | string;

const HIGHEST_LEVEL = 4_294_967_295;

/** The log of this plugin, with what the logging extension of the protocol can change; until the plugin stops. */
export class InferLog implements Logger {
  readonly #log: Logger;
  readonly #isOn: Record<'log_info' | 'log_warning' | 'log_error', boolean> = {
    log_info: true,
    log_warning: true,
    log_error: true,
  };
  #verboseLevel = 0;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** True when each request is to be logged. */
  get isVerbose(): boolean {
    return this.#verboseLevel > 0;
  }

  debug(message: string, fields?: Fields): void {
    this.#log.debug(message, fields);
  }

  info(message: string, fields?: Fields): void {
    if (this.#isOn.log_info) this.#log.info(message, fields);
  }

  warn(message: string, fields?: Fields): void {
    if (this.#isOn.log_warning) this.#log.warn(message, fields);
  }

  error(message: string, fields?: Fields): void {
    if (this.#isOn.log_error) this.#log.error(message, fields);
  }

  /** All settings. The file and the format are the kernel's. */
  settings(): Readonly<Record<string, LogSetting>> {
    const level = { log_verbose_level: this.#verboseLevel };
    return { log_file: '', ...this.#isOn, ...level, log_format: 'default' };
  }

  /** Changes some settings, or none when one does not fit. @throws REQUEST_INVALID */
  change(settings: Readonly<Record<string, unknown>>): void {
    for (const [name, value] of Object.entries(settings)) checkSetting(name, value);
    for (const [name, value] of Object.entries(settings)) {
      if (name === 'log_verbose_level') this.#verboseLevel = Number(value);
      else if (isSwitch(name)) this.#isOn[name] = value === true;
    }
  }
}

function isSwitch(name: string): name is 'log_info' | 'log_warning' | 'log_error' {
  return name === 'log_info' || name === 'log_warning' || name === 'log_error';
}

function checkSetting(name: string, value: unknown): void {
  if (isSwitch(name)) {
    if (typeof value !== 'boolean') throw new RequestInvalid({ problem: `${name} must be true or false` });
  } else if (name === 'log_verbose_level') {
    const isLevel = Number.isInteger(value) && Number(value) >= 0 && Number(value) <= HIGHEST_LEVEL;
    if (!isLevel)
      throw new RequestInvalid({ problem: 'log_verbose_level must be a whole number, 0 for none' });
  } else if (name === 'log_file' || name === 'log_format') {
    throw new RequestInvalid({ problem: `${name} cannot be changed: the operator of the kernel sets it` });
  } else {
    throw new RequestInvalid({ problem: `there is no log setting '${name.slice(0, 100)}'` });
  }
}
