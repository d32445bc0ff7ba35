import { isRule, Rule } from './rule.ts';

/** Whether a call is allowed, and why. */
export interface Decision {
  readonly isAllowed: boolean;
  /** The rule that decided; empty when none spoke of the operation. */
  readonly rule: string;
  /** Role that holds the rule; empty for a rule granted by itself. */
  readonly role: string;
  /** Where the role stands: `built in`, `config.json access.roles`, `granted`. */
  readonly origin: string;
}

/** What decides which code, models and settings run, and who may: never part of a role but `admin`. */
const CONTROL: readonly string[] = [
  'lamella.kernel.v1.PluginService/ListPlugins',
  'lamella.kernel.v1.PluginService/GetPlugin',
  'lamella.kernel.v1.PluginService/WatchPlugins',
  'lamella.kernel.v1.PluginService/GetCallStatistics',
  'lamella.kernel.v1.PluginService/GetServiceConfig',
  '!lamella.kernel.v1.*/*',
  '!inference.GRPCInferenceService/RepositoryModelLoad',
  '!inference.GRPCInferenceService/RepositoryModelUnload',
  '!inference.GRPCInferenceService/TraceSetting',
  '!inference.GRPCInferenceService/LogSettings',
  '!lamella.serving.v1.DeployService/Deploy',
  '!lamella.serving.v1.DeployService/Undeploy',
  // They read the installation, and clusters with the operator's credentials.
  '!lamella.serving.v1.DeployService/RenderDeployment',
  '!lamella.serving.v1.DeployService/DiffDeployment',
  // What others send and get.
  '!lamella.serving.v1.SampleService/*',
  // It puts the model that it has trained into service.
  '!lamella.app.v1.FeedbackService/Retrain',
  '!http:POST /console/api/retrain',
  // They decide who answers, also beyond this machine.
  '!lamella.serving.v1.BalanceService/SetTraffic',
  '!lamella.serving.v1.BalanceService/DeleteTraffic',
  '!lamella.serving.v1.BalanceService/PromoteCanary',
  '!lamella.serving.v1.BalanceService/RollbackCanary',
  // They decide who learns of trouble.
  '!lamella.serving.v1.MonitorService/SetRuleFile',
  '!lamella.serving.v1.MonitorService/DeleteRuleFile',
  '!lamella.serving.v1.MonitorService/CreateSilence',
  '!lamella.serving.v1.MonitorService/DeleteSilence',
  '!http:POST /console/api/monitor/*',
  'http:POST /v2/repository/index',
  '!http:POST /v2/repository*',
  '!http:POST /v2/*trace/setting',
  '!http:POST /v2/logging',
];

/** Whoever decides where calls go has no credentials. */
const PROBES: readonly string[] = ['grpc.health.v1.Health/*', 'http:GET /healthz/*', 'http:HEAD /healthz/*'];

/** Roles that are always there. The first rule that matches decides; without one the call is refused. */
export const BUILT_IN_ROLES: Readonly<Record<string, readonly string[]>> = {
  none: PROBES,
  page: [...PROBES, 'http:GET /', 'http:HEAD /', 'http:GET /console/page/*'],
  viewer: [
    ...PROBES,
    'grpc.reflection.*/*',
    'xds.service.orca.v3.OpenRcaService/*',
    ...CONTROL,
    '*/Get*',
    '*/List*',
    '*/Watch*',
    '*/Describe*',
    'inference.GRPCInferenceService/Server*',
    'inference.GRPCInferenceService/ModelReady',
    'inference.GRPCInferenceService/ModelMetadata',
    'inference.GRPCInferenceService/ModelConfig',
    'inference.GRPCInferenceService/ModelStatistics',
    'inference.GRPCInferenceService/RepositoryIndex',
    'lamella.serving.v1.MonitorService/QueryMetrics',
    'http:GET *',
    'http:HEAD *',
    'http:OPTIONS *',
  ],
  user: ['grpc.health.v1.Health/*', ...CONTROL, '*'],
  local: [
    'lamella.app.v1.FeedbackService/Retrain',
    'http:POST /console/api/retrain',
    'lamella.serving.v1.MonitorService/*',
    'http:POST /console/api/monitor/*',
    ...PROBES,
    ...CONTROL,
    '*',
  ],
  admin: ['*'],
};

/** Entries of the decision cache, and longest operation in it; operations of HTTP carry names from outside. */
const CACHE_LIMIT = 10_000;
const CACHED_LENGTH = 256;

interface Role {
  readonly name: string;
  readonly origin: string;
  readonly rules: readonly Rule[];
}

const NO_RULE: Decision = { isAllowed: false, rule: '', role: '', origin: '' };

/** Roles of one kernel, and decisions by them. Pure: the same grants and operation always give the same decision. */
export class Roles {
  readonly #roles: ReadonlyMap<string, Role>;
  readonly #decisions: Map<string, Map<string, Decision>> = new Map();
  #cachedCount = 0;

  /** @param configured - Rules by role name; they replace built-in roles of the same name, all but `admin`. */
  constructor(configured: Readonly<Record<string, readonly string[]>> = {}) {
    this.#roles = new Map([
      ...rolesOf(BUILT_IN_ROLES, 'built in'),
      ...rolesOf(configured, 'config.json access.roles'),
    ]);
  }

  get names(): string[] {
    return [...this.#roles.keys()].toSorted();
  }

  /** Whether this can be granted: a role of that name, or a rule. */
  isGrant(text: string): boolean {
    return this.#roles.has(text) || isRule(text);
  }

  /** The grants allow what any one of them allows. */
  decide(grants: readonly string[], operation: string): Decision {
    const key = grants.length === 1 ? (grants[0] ?? '') : grants.join('\n');
    const cached = this.#decisions.get(key)?.get(operation);
    if (cached !== undefined) return cached;
    const decision = this.#decide(grants, operation);
    if (operation.length > CACHED_LENGTH) return decision;
    if (this.#cachedCount >= CACHE_LIMIT) {
      this.#decisions.clear();
      this.#cachedCount = 0;
    }
    const known = this.#decisions.get(key) ?? new Map<string, Decision>();
    this.#decisions.set(key, known.set(operation, decision));
    this.#cachedCount += 1;
    return decision;
  }

  #decide(grants: readonly string[], operation: string): Decision {
    let refused = NO_RULE;
    for (const grant of grants) {
      const decision = decideBy(this.#roles.get(grant) ?? granted(grant), operation);
      if (decision.isAllowed) return decision;
      if (refused.rule === '') refused = decision;
    }
    return refused;
  }
}

function rolesOf(rules: Readonly<Record<string, readonly string[]>>, origin: string): [string, Role][] {
  return Object.entries(rules).map(([name, texts]) => [
    name,
    { name, origin, rules: texts.map((text) => new Rule(text)) },
  ]);
}

/** A rule that was granted by itself. A name of no role allows nothing: the role may have been removed. */
function granted(grant: string): Role {
  return { name: '', origin: 'granted', rules: isRule(grant) ? [new Rule(grant)] : [] };
}

function decideBy({ name, origin, rules }: Role, operation: string): Decision {
  const rule = rules.find((candidate) => candidate.matches(operation));
  if (rule === undefined) return { ...NO_RULE, role: name, origin };
  return { isAllowed: rule.isAllowing, rule: rule.text, role: name, origin };
}

/** A decision as a sentence says it: `rule '!x' of role 'user', built in`. */
export function ruleText({ rule, role, origin }: Decision): string {
  if (rule === '') return 'no rule allows it';
  return role === '' ? `rule '${rule}', ${origin}` : `rule '${rule}' of role '${role}', ${origin}`;
}
