/** Test data: one right object, with most of its fields, of every kind that is honoured. */

const virtualService = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, labels: {team: a}}
spec:
  hosts: [reviews]
  http:
  - name: main
    match: [{uri: {prefix: /api}, headers: {end-user: {exact: jason}}}]
    timeout: 5s
    retries: {attempts: 3, perTryTimeout: 2s, retryOn: "5xx,503"}
    headers: {request: {set: {x-a: "1"}}}
    rewrite: {uri: /v2}
    route:
    - {destination: {host: reviews, subset: v1, port: {number: 9080}}, weight: 90}
    - {destination: {host: reviews, subset: v2}, weight: 10}
  - redirect: {uri: /new}
  - directResponse: {status: 503, body: {string: no}}
`;
export const validObjects: readonly string[] = [
  virtualService,
  `apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  trafficPolicy:
    loadBalancer: {simple: ROUND_ROBIN}
    connectionPool: {tcp: {maxConnections: 10, connectTimeout: 1s, tcpKeepalive: {time: 10s}}, http: {http2MaxRequests: 5}}
    portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: RANDOM}}]
    retryBudget: {percent: 20}
  subsets: [{name: v1, labels: {version: v1}}]
`,
  `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ext}
spec: {hosts: [a.example.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC, endpoints: [{address: 10.0.0.1, ports: {http: 8080}}]}
`,
  `apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {name: g}
spec: {metadata: {labels: {app: a}}, template: {serviceAccount: a}, probe: {httpGet: {port: 80}}}
`,
  `apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: w}
spec: {address: 10.0.0.1, labels: {app: a}, locality: r/z, ports: {http: 80}}
`,
  `apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: s}
spec: {workloadSelector: {labels: {app: a}}, egress: [{hosts: ["./*", "prod/a.prod.svc.cluster.local"]}], outboundTrafficPolicy: {mode: REGISTRY_ONLY}}
`,
  `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: g}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*", "ns/a.example.com"]}]}
`,
  `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec:
  parentRefs: [{group: "", kind: Service, name: reviews, port: 9080}]
  hostnames: [a.example.com]
  rules:
  - name: one
    matches: [{path: {type: PathPrefix, value: /a}, headers: [{name: X, value: y}], queryParams: [{name: q, value: v}], method: GET}]
    filters:
    - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: b}], remove: [c]}}
    - {type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /b}}}
    backendRefs: [{name: reviews-v1, port: 9080, weight: 1, filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: a, value: b}]}}]}]
    timeouts: {request: 10s, backendRequest: 2s}
    retry: {codes: [500], attempts: 2, backoff: 100ms}
`,
  `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: g}
spec: {gatewayClassName: sluice, listeners: [{name: http, port: 80, protocol: HTTP, hostname: "*.example.com", allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {a: b}}}}}]}
`,
  'apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: sluice}\nspec: {controllerName: sluice.dev/gateway-controller}\n',
  'apiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\nmetadata: {name: r}\nspec: {from: [{group: g, kind: HTTPRoute, namespace: n}], to: [{group: "", kind: Service}]}\n',
  'apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {selector: {app: a}, ports: [{name: http, port: 80, targetPort: web}]}\n',
  'apiVersion: v1\nkind: Service\nmetadata: {name: e}\nspec: {type: ExternalName, externalName: a.example.com}\n',
  'apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n',
  'apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a}\nsecrets: [{name: x}]\n',
  'apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {app: a}}\nspec: {containers: [{name: a, image: x, ports: [{containerPort: 80, name: web}]}]}\nstatus: {podIP: 10.0.0.1, conditions: [{type: Ready, status: "True"}]}\n',
  'apiVersion: v1\nkind: Endpoints\nmetadata: {name: a}\nsubsets: [{addresses: [{ip: 10.0.0.1}], ports: [{port: 80}]}]\n',
  'apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: a, labels: {kubernetes.io/service-name: a}}\naddressType: IPv4\nendpoints: [{addresses: [10.0.0.1], conditions: {ready: true}}]\nports: [{name: http, port: 80}]\n',
  'apiVersion: security.istio.io/v1beta1\nkind: PeerAuthentication\nmetadata: {name: a}\nspec: {selector: {matchLabels: {app: a}}, mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: DISABLE}}}\n',
  'apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: empty}\n',
  'apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ntype: Opaque\ndata: {other: aGVsbG8=}\nstringData: {text: hello}\n',
  `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: db}
spec:
  host: db.example.com
  workloadSelector: {matchLabels: {app: a}}
  trafficPolicy:
    tls: {mode: MUTUAL, credentialName: db-client, sni: db.example.com, subjectAltNames: [db.example.com]}
    portLevelSettings: [{port: {number: 443}, tls: {mode: SIMPLE, caCertificates: /etc/ca.pem, caCrl: /etc/crl.pem}}]
  subsets: [{name: v1, labels: {version: v1}, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}]
`,
  `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: l4}
spec:
  hosts: [db.example.com]
  tls:
  - match: [{sniHosts: [db.example.com], port: 443, destinationSubnets: [10.0.0.0/8]}]
    route: [{destination: {host: db.example.com}}]
  tcp:
  - match: [{port: 3306, sourceLabels: {app: a}}]
    route: [{destination: {host: db.example.com, subset: v1}, weight: 80}, {destination: {host: db.example.com}, weight: 20}]
`,
];
