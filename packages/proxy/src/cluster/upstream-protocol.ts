/** Which HTTP a cluster's connections speak. `auto`: what ALPN says; `downstream`: what the request came in. */
export type UpstreamProtocol = 'h1' | 'h2' | 'auto' | 'downstream';
