import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Executors;

/** When a book would arrive. The Java twin of shipping.ts, standard library only; `java Shipping.java` runs it. */
public class Shipping {
  private static final String INSTANCE = System.getenv().getOrDefault("SLUICE_INSTANCE", "local");

  public static void main(String[] arguments) throws IOException {
    int port = Integer.parseInt(System.getenv().getOrDefault("PORT", "0"));
    HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getByName("127.0.0.1"), port), 0);
    server.createContext("/healthz", exchange -> reply(exchange, 200, "{\"ok\":true}"));
    server.createContext("/shipping/", Shipping::days);
    server.setExecutor(Executors.newFixedThreadPool(4));
    server.start();
    System.out.println("shipping (Java) listens on " + server.getAddress().getPort());
  }

  private static void days(HttpExchange exchange) throws IOException {
    String id = exchange.getRequestURI().getPath().substring("/shipping/".length()).replaceAll("[^a-z0-9-]", "");
    String body = "{\"instance\":\"%s\",\"language\":\"Java\",\"id\":\"%s\",\"days\":2}";
    reply(exchange, 200, body.formatted(INSTANCE, id));
  }

  private static void reply(HttpExchange exchange, int status, String body) throws IOException {
    byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
    exchange.getResponseHeaders().set("content-type", "application/json");
    exchange.sendResponseHeaders(status, bytes.length);
    try (exchange) {
      exchange.getResponseBody().write(bytes);
    }
  }
}
