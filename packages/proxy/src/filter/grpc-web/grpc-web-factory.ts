/** gRPC-Web as a filter of the listener's configuration: it has none of its own. */
import type { HttpFilterFactory } from '../filter.ts';
import { GrpcWebFilter } from './grpc-web.ts';

export const grpcWebFactory: HttpFilterFactory = {
  name: 'envoy.filters.http.grpc_web',
  configTypes: ['envoy.extensions.filters.http.grpc_web.v3.GrpcWeb'],
  isTerminal: false,
  compile: () => null,
  compileRoute(_message, problems) {
    problems.push({ path: '', message: 'gRPC-Web has no configuration per route' });
    return null;
  },
  create: () => new GrpcWebFilter(),
};
