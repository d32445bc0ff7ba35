import { type TSchema, Type } from '../../sdk/index.ts';
import type { SoundPackage } from './package-folder.ts';

/** How much of a plugin has to be proved before it runs. */
export type TrustMode = 'strict' | 'local' | 'development';

/** What the operator trusts. */
export interface TrustConfig {
  readonly mode: TrustMode;
  readonly keys: readonly string[];
  readonly ids: readonly string[];
  readonly digests: readonly string[];
}

/** Schema of `trust` in `config.json`. */
export const TrustConfigSchema: TSchema = Type.Object(
  {
    mode: Type.Union([Type.Literal('strict'), Type.Literal('local'), Type.Literal('development')], {
      default: 'local',
      description:
        '`local`: folders loaded by hand that belong to the user of the kernel run unsigned; `strict`: they do not; `development`: everything runs that was not tampered with.',
    }),
    keys: Type.Array(Type.String({ pattern: '^ed25519:[A-Za-z0-9+/]{43}=$' }), {
      default: [],
      description: 'Public keys whose signatures are trusted, as `ed25519:…`.',
    }),
    ids: Type.Array(Type.String(), {
      default: [],
      description: 'Ids of plugins that run unsigned, whoever made them.',
    }),
    digests: Type.Array(Type.String({ pattern: '^sha256:[0-9a-f]{64}$' }), {
      default: [],
      description: 'Digests of packages that run unsigned: exactly this content.',
    }),
  },
  {
    default: {},
    additionalProperties: false,
    description: 'Which plugins may run beside those that come with Lamella.',
  },
);

/** Where a plugin comes from: with Lamella; named when the kernel starts; loaded into a running one; installed. */
export type Origin = 'own' | 'start' | 'loaded' | 'installed';

/** What is known of a plugin that asks to run. */
export interface Candidate {
  readonly id: string;
  readonly origin: Origin;
  /** Set when the folder is a sound package. */
  readonly sound?: Pick<SoundPackage, 'digest' | 'signer'>;
  /** Set when the folder claims to be a package and is not sound. */
  readonly damage?: string;
  /** Set when somebody else than the user of the kernel can write the folder. */
  readonly foreign?: string;
}

/** Whether a plugin may run; if not, why, and what would change that. */
export type Verdict =
  | { readonly isTrusted: true }
  | { readonly isTrusted: false; readonly why: string; readonly repair: string };

const TRUSTED: Verdict = { isTrusted: true };

/** Decides by rules alone; whoever asks has looked at the files. */
export function judge(candidate: Candidate, trust: TrustConfig): Verdict {
  const { origin, damage } = candidate;
  if (origin === 'own') return TRUSTED;
  // Neither list nor mode makes changed files right: what was trusted is not what is there.
  if (damage !== undefined) return { isTrusted: false, why: damage, repair: damageRepair(candidate) };
  return isListed(candidate, trust) || isAllowed(candidate, trust.mode) ? TRUSTED : untrusted(candidate);
}

function isListed({ id, sound }: Candidate, { keys, ids, digests }: TrustConfig): boolean {
  if (ids.includes(id)) return true;
  if (sound === undefined) return false;
  return digests.includes(sound.digest) || (sound.signer !== undefined && keys.includes(sound.signer));
}

function isAllowed({ origin, foreign }: Candidate, mode: TrustMode): boolean {
  if (mode === 'development') return true;
  return mode === 'local' && (origin === 'start' || (origin === 'loaded' && foreign === undefined));
}

function damageRepair({ id, origin }: Candidate): string {
  return origin === 'installed'
    ? `install it again, or 'lamella plugin rollback ${id}'`
    : "sign it again by 'lamella plugin sign DIR', or remove its digests.json and signature.json if you changed it yourself";
}

function untrusted({ id, origin, sound, foreign }: Candidate): Verdict {
  const isLocal = origin === 'loaded' && foreign !== undefined;
  const unsigned = isLocal ? `it is not signed, and ${foreign}` : 'it is not signed';
  const why = sound?.signer === undefined ? unsigned : `its signer ${sound.signer} is not trusted`;
  const what = sound?.signer ?? sound?.digest ?? id;
  return {
    isTrusted: false,
    why,
    repair: `'lamella trust add ${what}' if you know who made it${sound === undefined ? ", or 'lamella start --dev' while you develop" : ''}`,
  };
}
