// A web application on express-openid-connect, which pushes its authorization
// requests (RFC 9126), authenticates by a signed assertion (RFC 7523) and ends
// sessions when a logout token comes (OIDC Back-Channel Logout).
//
// It reads its settings from the environment: ISSUER, SELF (its own address),
// CLIENT_ID, KEY (the private JWK) and SECRET, which signs its cookies.
'use strict'

const express = require('express')
const { auth } = require('express-openid-connect')

const self = new URL(process.env.SELF)

// The sessions, by the key in the browser's cookie, and beside them what the
// library notes of logout tokens.
const kept = new Map()
const store = {
  get: (key, done) => done(null, kept.get(key)),
  set: (key, value, done) => { kept.set(key, value); done(null) },
  destroy: (key, done) => { kept.delete(key); done(null) }
}

const application = express()
application.use(auth({
  issuerBaseURL: process.env.ISSUER,
  baseURL: process.env.SELF,
  clientID: process.env.CLIENT_ID,
  clientAuthMethod: 'private_key_jwt',
  clientAssertionSigningKey: JSON.parse(process.env.KEY),
  clientAssertionSigningAlg: 'ES256',
  pushedAuthorizationRequests: true,
  authorizationParams: { response_type: 'code', scope: 'openid profile email groups offline_access' },
  authRequired: false,
  backchannelLogout: true,
  enableTelemetry: false,
  secret: process.env.SECRET,
  session: { store, cookie: { secure: false } },
  transactionCookie: { sameSite: 'Lax' }
}))

// Whether the visitor is signed in, and who they are.
application.get('/me', (request, response) => {
  response.json({ signedIn: request.oidc.isAuthenticated(), claims: request.oidc.idTokenClaims })
})

application.get('/userinfo', async (request, response) => {
  response.json(await request.oidc.fetchUserInfo())
})

// A refresh, which authenticates by an assertion again.
application.post('/refresh', async (request, response) => {
  const before = request.oidc.accessToken.access_token
  await request.oidc.accessToken.refresh()
  response.json({ fresh: request.oidc.accessToken.access_token !== before })
})

application.listen(Number(self.port), self.hostname, () => console.log('listening'))
