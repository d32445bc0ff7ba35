import assert from 'node:assert/strict';
import { httpOperation } from '../../../kernel/access/access.ts';
import { Roles, ruleText } from '../../../kernel/access/roles.ts';
import { isRule, Rule } from '../../../kernel/access/rule.ts';

describe('access rules', () => {
  it('match whole operations, with stars for any text', () => {
    const cases: readonly (readonly [string, string, boolean])[] = [
      ['a.v1.S/M', 'a.v1.S/M', true],
      ['a.v1.S/M', 'a.v1.S/Mx', false],
      ['a.v1.S/*', 'a.v1.S/M', true],
      ['*/Get*', 'a.v1.S/GetX', true],
      ['*/Get*', 'a.v1.S/Forget', false],
      ['a*b*c/M', 'abc/M', true],
      ['a*bc*c/M', 'abc/M', false],
      ['*', 'http:POST /x', true],
      ['http:GET *', 'http:GET /x', true],
      ['http:GET *', 'http:POST /x', false],
    ];
    for (const [rule, operation, expected] of cases) {
      assert.equal(new Rule(rule).matches(operation), expected, `${rule} ${operation}`);
    }
  });

  it('for services say nothing of HTTP paths that look like methods', () => {
    assert.equal(new Rule('*/Get*').matches('http:POST /v2/repository/Get/load'), false);
    assert.equal(new Rule('http:*').matches('a.v1.S/M'), false);
  });

  it('take a time in proportion to the path, however many stars there are', () => {
    const rule = new Rule(`http:POST ${'*a'.repeat(100)}`);
    assert.equal(rule.matches(`http:POST ${'a'.repeat(50_000)}b`), false);
  });

  it('are told from role names', () => {
    for (const text of ['*', '!*/Delete*', 'a.v1.S/M', 'http:POST /v2/*', 'http:*'])
      assert.ok(isRule(text), text);
    for (const text of ['user', '', 'a b/c', 'http:', '/x', '!']) assert.ok(!isRule(text), text);
  });
});

describe('roles', () => {
  const roles = new Roles();
  const may = (role: string, operation: string): boolean => roles.decide([role], operation).isAllowed;

  it('let users use services, and change neither code nor models', () => {
    for (const operation of [
      'inference.GRPCInferenceService/ModelInfer',
      'lamella.data.v1.StoreService/WriteVersion',
      'lamella.kernel.v1.PluginService/ListPlugins',
      'http:POST /v2/models/digits/infer',
      'http:POST /v2/repository/index',
    ]) {
      assert.ok(may('user', operation), operation);
    }
    for (const operation of [
      'lamella.kernel.v1.PluginService/LoadPlugin',
      'lamella.kernel.v1.PluginService/UnloadPlugin',
      'lamella.kernel.v1.PluginService/TailLogs',
      'lamella.kernel.v1.PluginService/WatchAccessLog',
      'lamella.app.v1.FeedbackService/Retrain',
      'http:POST /console/api/retrain',
      'lamella.kernel.v1.AccessService/CreateKey',
      'lamella.kernel.v1.AccessService/ListKeys',
      'lamella.kernel.v1.EventService/Publish',
      'lamella.kernel.v1.HostService/GetSecret',
      'lamella.kernel.v1.ServiceOfTomorrow/GetAll',
      'inference.GRPCInferenceService/RepositoryModelLoad',
      'inference.GRPCInferenceService/RepositoryModelUnload',
      'lamella.serving.v1.DeployService/Deploy',
      'lamella.serving.v1.DeployService/DiffDeployment',
      'lamella.serving.v1.DeployService/Undeploy',
      'http:POST /v2/repository/models/digits/load',
      'inference.GRPCInferenceService/TraceSetting',
      'inference.GRPCInferenceService/LogSettings',
      'http:POST /v2/trace/setting',
      'http:POST /v2/models/digits/trace/setting',
      'http:POST /v2/logging',
    ]) {
      assert.ok(!may('user', operation), operation);
      assert.ok(!may('viewer', operation), operation);
      assert.ok(may('admin', operation), operation);
    }
  });

  it('let viewers read, and nobody else than health checks without a role', () => {
    for (const operation of [
      'a.v1.S/ListX',
      'http:GET /',
      'grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
      'xds.service.orca.v3.OpenRcaService/StreamCoreMetrics',
      'lamella.serving.v1.MonitorService/QueryMetrics',
    ]) {
      assert.ok(may('viewer', operation), operation);
      assert.ok(!may('none', operation), operation);
    }
    assert.ok(!may('viewer', 'inference.GRPCInferenceService/ModelInfer'));
    assert.ok(may('none', 'grpc.health.v1.Health/Check'));
  });

  it('let a page be loaded without credentials where that was chosen, and nothing be asked by it', () => {
    for (const operation of ['http:GET /', 'http:GET /console/page/app.js'])
      assert.ok(may('page', operation));
    for (const operation of ['http:GET /console/api/models', 'http:GET /v2', 'http:POST /', 'a.v1.S/GetX']) {
      assert.ok(!may('page', operation), operation);
    }
  });

  it('let callers on the loopback retrain and silence alerts, and users not', () => {
    for (const operation of [
      'lamella.app.v1.FeedbackService/Retrain',
      'http:POST /console/api/retrain',
      'lamella.serving.v1.MonitorService/SetRuleFile',
      'lamella.serving.v1.MonitorService/DeleteRuleFile',
      'lamella.serving.v1.MonitorService/CreateSilence',
      'lamella.serving.v1.MonitorService/DeleteSilence',
      'http:POST /console/api/monitor/silence',
    ]) {
      assert.ok(!may('viewer', operation), operation);
      assert.ok(may('local', operation) && !may('user', operation), operation);
    }
    assert.ok(!may('local', 'lamella.serving.v1.DeployService/Deploy'));
    assert.ok(!may('local', 'lamella.serving.v1.SampleService/TakeSamples'));
  });

  it('see through an encoded path', () => {
    assert.ok(!may('user', httpOperation('post', '/v2/repository/models/digits/%6Coad')));
    assert.ok(!may('user', httpOperation('POST', '/v2/%72epository/models/digits/load')));
    assert.equal(httpOperation('GET', '/%ff'), 'http:GET /%ff');
  });

  it('of the configuration decide by their first rule that matches, and several grants by any that allows', () => {
    const own = new Roles({ infer: ['!a.v1.S/Secret', 'a.v1.S/*'], user: ['a.v1.S/M'] });
    assert.deepEqual(own.decide(['infer'], 'a.v1.S/Secret'), {
      isAllowed: false,
      rule: '!a.v1.S/Secret',
      role: 'infer',
      origin: 'config.json access.roles',
    });
    assert.ok(own.decide(['infer'], 'a.v1.S/M').isAllowed);
    assert.ok(own.decide(['infer', 'admin'], 'a.v1.S/Secret').isAllowed);
    assert.ok(own.decide(['b.v1.S/M'], 'b.v1.S/M').isAllowed);
    assert.ok(!own.decide(['user'], 'a.v1.S/Other').isAllowed, 'replaces the built-in role');
  });

  it('that are gone allow nothing', () => {
    assert.ok(!roles.decide(['removed'], 'a.v1.S/M').isAllowed);
    assert.ok(!roles.decide([], 'a.v1.S/M').isAllowed);
  });

  it('stay right when many operations have been asked for', () => {
    for (let number = 0; number < 25_000; number += 1) roles.decide(['user'], `http:GET /${number}`);
    assert.ok(may('user', 'http:GET /1'));
    assert.ok(!may('viewer', 'http:POST /1'));
  });

  it('say which rule decided and where it stands', () => {
    assert.equal(
      ruleText(roles.decide(['user'], 'lamella.kernel.v1.PluginService/LoadPlugin')),
      "rule '!lamella.kernel.v1.*/*' of role 'user', built in",
    );
    assert.equal(ruleText(roles.decide(['a.v1.S/M'], 'a.v1.S/M')), "rule 'a.v1.S/M', granted");
    assert.equal(ruleText(roles.decide(['none'], 'a.v1.S/M')), 'no rule allows it');
  });
});
