// An identity provider for the tests: the npm package `oidc-provider`, with the accounts and clients that the tests need.
//
//   node provider.mjs PORT CALLBACK AUDIENCE
//
// Anybody may sign in, with any password; roles and sites are spelled in the login: "ann admins,staff Harbour".

import { generateKeyPair, exportJWK } from 'jose';
import Provider from 'oidc-provider';

const [port, callback, audience] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;

async function key(alg, use = 'sig') {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  return { ...(await exportJWK(privateKey)), alg, use };
}

function claims(login) {
  const [name, roles, sites] = login.split(' ');
  return {
    sub: login,
    preferred_username: name,
    ...(roles && roles !== '-' && { roles: roles.split(',') }),
    ...(sites && { sites: sites.split(',') }),
  };
}

const machine = (id) => ({
  client_id: id,
  client_secret: 'a secret of the machine',
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
});

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: 'chargers',
      client_secret: 'a secret of the server',
      redirect_uris: [callback],
      grant_types: ['authorization_code'],
      response_types: ['code'],
    },
    machine('robot admins'),
    machine('robot staff Harbour'),
    machine('robot -'),
  ],
  jwks: { keys: [await key('RS256'), await key('ES256')] },
  pkce: { required: () => true },
  findAccount: (_ctx, id) => ({ accountId: id, claims: () => claims(id) }),
  claims: { openid: ['sub'], profile: ['preferred_username', 'roles', 'sites'] },
  extraTokenClaims: (_ctx, token) => claims(token.accountId ?? token.clientId),
  features: {
    devInteractions: { enabled: true },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      // A person's token is for the provider's own /me.
      defaultResource: (_ctx, client) => (client.clientId === 'chargers' ? undefined : audience),
      useGrantedResource: () => true,
      getResourceServerInfo: (_ctx, resource) => ({
        scope: 'openid profile',
        audience: resource,
        accessTokenTTL: 600,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
  cookies: { keys: ['for the tests'] },
  ttl: { ClientCredentials: 600, AccessToken: 600, IdToken: 600, Interaction: 600, Session: 600, Grant: 600 },
});

const server = provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));
process.on('SIGTERM', () => server.close(() => process.exit(0)));
