/** Resources of a service outside of any sidecar, and of a route whose status tells which version of it is live. */

export const localService = (name: string, port: number, protocol: string): string => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}}
spec:
  hosts: [${name}.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: main, protocol: ${protocol}}]
  endpoints: [{address: 127.0.0.1, ports: {main: ${port}}}]
`;

/** Of the service `hello`. */
export const versionRoute = (status: number): string => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: hello}
spec:
  hosts: [hello]
  http:
  - match: [{uri: {exact: /version}}]
    directResponse: {status: ${status}}
  - route: [{destination: {host: hello}}]
`;
