import { CODES, type Code, type CodeName } from './status-code.ts';

/** Everything that a declared error says about itself once: reason, status and the sentence for the caller. */
export interface ErrorDefinition<Field extends string = string> {
  /** Machine-readable reason, unique within a plugin, `[A-Z][A-Z0-9_]+[A-Z0-9]`, 63 characters at most (AIP-193). */
  readonly reason: string;
  /** The gRPC status the caller gets. */
  readonly code: Code;
  /** Builds the sentence for the caller; it names what is wrong and what to do next. */
  readonly message: (fields: Readonly<Record<Field, string>>) => string;
  /** Delay after which a retry makes sense unless a throw says another, see {@link ErrorExtras.retryAfterMs}. */
  readonly retryAfterMs?: number;
  /**
   * False for what is thrown so often under load that the stack, which costs more than all the rest of a refusal, is left
   * out. Default true.
   */
  readonly hasStack?: boolean;
  /** Who declares it, see {@link DeclaredError.domain}; left out by plugins, whose name the kernel knows. */
  readonly domain?: string;
}

/** Facts beside the fields that change how an error is reported. */
export interface ErrorExtras {
  /** The error that led here; it goes to the log, never to the caller. */
  readonly cause?: unknown;
  /** Delay after which a retry makes sense, in milliseconds; sent as `RetryInfo` and `grpc-retry-pushback-ms`. */
  readonly retryAfterMs?: number;
  /** Violated request fields, sent as `BadRequest`. */
  readonly violations?: readonly FieldViolation[];
}

/** One request field that broke a rule. */
export interface FieldViolation {
  /** Path of the field, for example `inputs[0].shape`. */
  readonly field: string;
  /** What is wrong with it and what would be right. */
  readonly description: string;
}

/** A constructor made by {@link defineError}. */
export interface ErrorType<Field extends string = string> {
  new (fields: Readonly<Record<Field, string>>, extras?: ErrorExtras): DeclaredError;
  readonly definition: ErrorDefinition<Field>;
}

const BRAND: unique symbol = Symbol.for('lamella.DeclaredError');

/**
 * An error that its author meant the caller to see.
 *
 * @remarks Compare with {@link isDeclaredError}, not `instanceof`: a hot-loaded plugin may carry its own copy of the
 * sdk, and two copies of a class are never `instanceof` each other.
 */
export class DeclaredError extends Error {
  /** Reason code, see {@link ErrorDefinition.reason}. */
  readonly reason: string;
  /** gRPC status code. */
  readonly code: Code;
  /** Every dynamic part of the message, sent as `ErrorInfo.metadata`. */
  readonly metadata: Readonly<Record<string, string>>;
  /** See {@link ErrorExtras.retryAfterMs}. */
  readonly retryAfterMs: number | undefined;
  /** See {@link ErrorExtras.violations}. */
  readonly violations: readonly FieldViolation[];
  /**
   * Who raised the error, sent as `ErrorInfo.domain`: `<plugin id>.lamella`, or `lamella` for the kernel. Empty until it
   * leaves its plugin, where the kernel fills it in; a plugin that passes on another one's error keeps the name.
   */
  domain: string;

  constructor(init: DeclaredErrorInit) {
    super(init.message, init.cause === undefined ? {} : { cause: init.cause });
    this.name = init.reason;
    this.reason = init.reason;
    this.code = init.code;
    this.metadata = init.metadata ?? {};
    this.retryAfterMs = init.retryAfterMs;
    this.violations = init.violations ?? [];
    this.domain = init.domain ?? '';
    Object.defineProperty(this, BRAND, { value: true });
  }
}

/** What a {@link DeclaredError} is made from. */
export interface DeclaredErrorInit extends ErrorExtras {
  /** Reason code. */
  readonly reason: string;
  /** gRPC status. */
  readonly code: Code;
  /** Text for the caller. */
  readonly message: string;
  /** Dynamic parts of the message. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Plugin that raised the error. */
  readonly domain?: string;
}

const REASON = /^[A-Z][A-Z0-9_]{1,61}[A-Z0-9]$/;

/**
 * Declares an error once, in a plugin's `errors.ts`, so that every throw of it reads the same and can be documented.
 *
 * @throws TypeError if the reason does not have the form of AIP-193; that is a programming error found at load.
 */
export function defineError<const Field extends string = never>(
  definition: ErrorDefinition<Field>,
): ErrorType<Field> {
  if (!REASON.test(definition.reason)) {
    throw new TypeError(`Error reason '${definition.reason}' must match ${String(REASON)}.`);
  }
  return class extends DeclaredError {
    static readonly definition: ErrorDefinition<Field> = definition;
    constructor(fields: Readonly<Record<Field, string>>, extras: ErrorExtras = {}) {
      const { stackTraceLimit } = Error;
      if (definition.hasStack === false) Error.stackTraceLimit = 0;
      super({
        ...(definition.retryAfterMs !== undefined && { retryAfterMs: definition.retryAfterMs }),
        ...extras,
        reason: definition.reason,
        code: definition.code,
        message: definition.message(fields),
        metadata: fields,
        ...(definition.domain === undefined ? {} : { domain: definition.domain }),
      });
      Error.stackTraceLimit = stackTraceLimit;
    }
  };
}

/** Tells whether a value is a declared error, also one made by another copy of the sdk. */
export function isDeclaredError(value: unknown): value is DeclaredError {
  return typeof value === 'object' && value !== null && BRAND in value;
}

/** Name of a status code as the specification spells it, for messages and logs. */
export function codeName(code: Code): CodeName {
  const found = Object.entries(CODES).find(([, number]) => number === code);
  return (found?.[0] ?? 'UNKNOWN') as CodeName;
}
