// Signs deliveries with the senders' own npm libraries. One JSON array on stdout: see run.
import { readFileSync } from "node:fs";
import { sign, verify } from "@octokit/webhooks-methods";
import "@shopify/shopify-api/adapters/node";
import { shopifyApi, ApiVersion } from "@shopify/shopify-api";
import { createHmac } from "node:crypto";

const version = (name) => JSON.parse(readFileSync(`node_modules/${name}/package.json`)).version;
const bodies = ['{"id":"e-1","action":"opened"}', '{"id":"\\u00e9","action":"\u00e9"}', '{ "id":"e-2" }\n'];
const deliveries = [];

for (const body of bodies) {
  const secret = "It's a Secret to Everybody";
  const signature = await sign(secret, body);
  if (!(await verify(secret, body, signature))) throw new Error("GitHub's library refuses its own signature");
  deliveries.push({
    sender: "github",
    library: `@octokit/webhooks-methods ${version("@octokit/webhooks-methods")}`,
    secret,
    body,
    headers: { "X-Hub-Signature-256": signature, "X-GitHub-Delivery": "d-1", "X-GitHub-Event": "push" },
    at: 0,
  });
}

// The library only verifies: it judges a signature of the bare HMAC.
const apiSecretKey = "hush";
const shopify = shopifyApi({
  apiKey: "key",
  apiSecretKey,
  apiVersion: Object.values(ApiVersion).at(-1),
  hostName: "example.com",
  isEmbeddedApp: false,
  logger: { level: 0 },
});
for (const rawBody of bodies) {
  const headers = {
    "X-Shopify-Hmac-Sha256": createHmac("sha256", apiSecretKey).update(rawBody, "utf8").digest("base64"),
    "X-Shopify-Webhook-Id": "w-1",
    "X-Shopify-Event-Id": "e-1",
    "X-Shopify-Topic": "orders/create",
    "X-Shopify-Shop-Domain": "example.myshopify.com",
    "X-Shopify-API-Version": "2025-10",
  };
  const rawRequest = { method: "POST", url: "/", headers };
  const verdict = await shopify.webhooks.validate({ rawBody, rawRequest, rawResponse: {} });
  if (!verdict.valid) throw new Error(`Shopify's library refuses the signature: ${JSON.stringify(verdict)}`);
  deliveries.push({
    sender: "shopify",
    library: `@shopify/shopify-api ${version("@shopify/shopify-api")}`,
    secret: apiSecretKey,
    body: rawBody,
    headers,
    at: 0,
  });
}
console.log(JSON.stringify(deliveries));
