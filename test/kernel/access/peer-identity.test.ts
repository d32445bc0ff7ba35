import assert from 'node:assert/strict';
import { sidecarList } from '../../../kernel/access/access-problems.ts';
import { Peers, spiffeIdOf } from '../../../kernel/access/peer-identity.ts';
import type { Evidence } from '../../../kernel/access/principal.ts';

const ID = 'spiffe://example.org/ns/prod/sa/web';

function evidence(peer: string, headers: Readonly<Record<string, string>>, names?: string): Evidence {
  return { peer: () => peer, header: (name) => headers[name], certificateNames: () => names };
}

describe('peer identity', () => {
  it('is the one URI of a certificate that is a SPIFFE id', () => {
    assert.equal(spiffeIdOf(`URI:${ID}`), ID);
    assert.equal(spiffeIdOf(`DNS:web, URI:${ID}, IP Address:10.0.0.1`), ID);
    for (const names of [
      '',
      'DNS:web',
      `URI:${ID}, URI:spiffe://example.org/other`,
      `URI:${ID}, URI:https://example.org/`,
      'URI:https://example.org/ns',
      'URI:spiffe://Example.org/x',
      'URI:spiffe://example.org/../x',
      'URI:spiffe://example.org//x',
      'URI:spiffe://example.org/x/',
      'URI:spiffe://user@example.org/x',
      `DNS:"a, URI:${ID}"`,
      `URI:spiffe://example.org/${'x'.repeat(2048)}`,
    ]) {
      assert.equal(spiffeIdOf(names), undefined, names);
    }
  });

  it('is looked up in the trust map, first match first', () => {
    const peers = new Peers(
      { 'spiffe://example.org/ns/prod/*': ['admin'], 'spiffe://example.org/*': ['viewer'] },
      sidecarList([]),
    );
    assert.deepEqual(peers.byId(ID), { kind: 'peer', name: `peer:${ID}`, grants: ['admin'] });
    assert.deepEqual(peers.byId('spiffe://example.org/ns/test')?.grants, ['viewer']);
    assert.equal(peers.byId('spiffe://example.org.evil/ns/prod/x'), undefined);
    assert.deepEqual(peers.principal(evidence('10.0.0.9:1', {}, `URI:${ID}`))?.grants, ['admin']);
  });

  it('is taken from the headers of a configured sidecar only', () => {
    const peers = new Peers(
      { 'spiffe://example.org/*': ['user'] },
      sidecarList(['127.0.0.1/32', '10.1.0.0/16', 'fd00::/8']),
    );
    const named = (peer: string, headers: Readonly<Record<string, string>>): string | undefined =>
      peers.principal(evidence(peer, headers))?.name;
    const xfcc = {
      'x-forwarded-client-cert': `By=spiffe://example.org/me;Hash=ab;Subject="CN=a,O=b;x";URI=${ID}`,
    };
    for (const peer of ['127.0.0.1:5', '::ffff:127.0.0.1:5', '10.1.2.3:5', 'fd00::1:5']) {
      assert.equal(named(peer, xfcc), `peer:${ID}`, peer);
    }
    for (const peer of ['127.0.0.2:5', '10.2.0.1:5', 'unknown', '', ':'])
      assert.equal(named(peer, xfcc), undefined, peer);
    assert.equal(named('127.0.0.1:5', { 'l5d-client-id': ID }), `peer:${ID}`);
    assert.equal(named('127.0.0.1:5', { 'l5d-client-id': 'web.prod.serviceaccount' }), undefined);
  });

  it('is the last element of a forwarded chain, which the sidecar itself saw', () => {
    const peers = new Peers({ 'spiffe://example.org/*': ['user'] }, sidecarList(['127.0.0.1']));
    const named = (header: string): string | undefined =>
      peers.principal(evidence('127.0.0.1:5', { 'x-forwarded-client-cert': header }))?.name;
    assert.equal(named(`URI=spiffe://example.org/forged,URI=${ID}`), `peer:${ID}`);
    assert.equal(named(`URI=${ID};URI=spiffe://example.org/two`), undefined);
    assert.equal(named(`Subject="x,URI=${ID}"`), undefined);
    assert.equal(named(`Subject="x\\",URI=${ID}"`), undefined);
    assert.equal(named('"'.repeat(9)), undefined);
  });

  it('is nobody without a trust map', () => {
    const peers = new Peers({}, sidecarList(['127.0.0.1']));
    assert.equal(peers.principal(evidence('127.0.0.1:5', { 'l5d-client-id': ID })), undefined);
  });
});
