import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.time.Duration;
import java.time.LocalDate;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Properties;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.apache.avro.LogicalTypes;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.generic.GenericRecordBuilder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * One agency's side without our connector: Apache's own Kafka and Avro clients, and nothing of ours.
 *
 * <pre>
 *   mvn -q -f docs/examples/java package
 *   export JISR_BOOTSTRAP=… JISR_REGISTRY_URL=… JISR_AGENCY_KEY_FILE=…
 *   java -cp 'docs/examples/java/target/classes:docs/examples/java/target/lib/*' StockClient \
 *       AGENCY say person 17 insert family_name_fr=Alaoui given_name_fr=Leila
 * </pre>
 *
 * What it knows is kept in memory. A real system keeps {@code rows}, {@code versions} and {@code named} in
 * its own database, in the same transaction as the rows that they describe. docs/agencies.md explains each step.
 */
public final class StockClient implements AutoCloseable {
    private static final Duration TIMEOUT = Duration.ofSeconds(30);
    private static final ObjectMapper JSON = new ObjectMapper();

    /** What this side knows of one local record. */
    private static final class Row {
        String entity;
        /** The highest that the hub has shown or we have sent. */
        long stamp;
        /** The values that are the hub's. */
        Map<String, Object> delivered = new HashMap<>();
        /** Whether only the hub's word put the row here. */
        boolean created;
    }

    private record Place(String recordType, String id) {}

    private record Registered(int id, Schema schema) {}

    private final String name;
    private final byte[] key;
    private final String registry;
    private final HttpClient http = HttpClient.newHttpClient();
    private final Map<String, Registered> bySubject = new HashMap<>();
    private final Map<Integer, Schema> byId = new HashMap<>();
    private final Map<Place, Row> rows = new HashMap<>();
    private final Map<Place, Long> versions = new HashMap<>();
    /** Entity → the local id by which the hub itself last named it. */
    private final Map<Place, String> named = new HashMap<>();
    private final KafkaProducer<String, byte[]> producer;
    private final KafkaConsumer<String, byte[]> consumer;

    public StockClient(String name, String bootstrap, String registry, byte[] key) {
        this.name = name;
        this.key = key;
        this.registry = registry;
        Properties writing = new Properties();
        writing.put("bootstrap.servers", bootstrap);
        writing.put("acks", "all");
        writing.put("enable.idempotence", "true");
        // The partitioner stays Java's own, murmur2 of the key: it is the one that the hub expects (R4).
        producer = new KafkaProducer<>(writing, new StringSerializer(), new ByteArraySerializer());
        Properties reading = new Properties();
        reading.put("bootstrap.servers", bootstrap);
        // Kafka lets an agency use the groups that begin with its name and a dot.
        reading.put("group.id", name + ".stock-client");
        reading.put("enable.auto.commit", "false");
        reading.put("auto.offset.reset", "earliest");
        consumer = new KafkaConsumer<>(reading, new StringDeserializer(), new ByteArrayDeserializer());
    }

    // Out: what people here changed

    /**
     * Tell the hub of an edit. {@code values}: the fields that it touched; of a list, the elements added.
     *
     * @return the change as it was sent
     */
    public GenericRecord say(String recordType, String localId, String operation, Map<String, Object> values)
            throws Exception {
        Row row = rows.computeIfAbsent(new Place(recordType, localId), unused -> new Row());
        // The echo rule: what the hub delivered, and nobody here has changed, is not ours to assert (R12).
        Map<String, Object> news = new HashMap<>(values);
        news.entrySet().removeIf(one -> row.delivered.containsKey(one.getKey())
                && Objects.equals(row.delivered.get(one.getKey()), one.getValue()));
        // Later than everything that whoever edited had been shown, whatever our clock says (R10).
        row.stamp = Math.max(System.currentTimeMillis() << 16, row.stamp + 1);
        String topic = name + "." + recordType + ".changes";
        Schema schema = subject(topic).schema();
        GenericRecordBuilder change = new GenericRecordBuilder(schema)
                .set("event_id", name + ":" + recordType + ":" + UUID.randomUUID())
                .set("local_id", localId)
                .set("operation", new GenericData.EnumSymbol(schema.getField("operation").schema(), operation))
                .set("stamp", row.stamp)
                .set("changed", new ArrayList<>(news.keySet()))
                .set("entity", row.entity);
        if (operation.equals("snapshot")) {
            change.set("asserted", 0L); // Of unknown age here: it loses to everything dated (R11).
        }
        if (!news.isEmpty()) {
            GenericRecordBuilder image = new GenericRecordBuilder(present(schema.getField("record").schema()));
            news.forEach(image::set);
            change.set("record", image.build());
        }
        GenericRecord said = change.build();
        send(topic, token(recordType, localId), said);
        row.delivered.keySet().removeAll(news.keySet());
        return said;
    }

    /** A key that is always the same for this record and says nothing to anybody else (R4). */
    private String token(String recordType, String localId) throws GeneralSecurityException {
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        byte[] digest = mac.doFinal((recordType + "\0" + localId).getBytes(StandardCharsets.UTF_8));
        return Base64.getUrlEncoder().withoutPadding().encodeToString(Arrays.copyOf(digest, 16));
    }

    private void send(String topic, String messageKey, GenericRecord value)
            throws IOException, InterruptedException, ExecutionException, TimeoutException {
        Registered registered = subject(topic);
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        // Confluent's frame: a zero byte, the schema's id, the Avro body.
        out.write(0);
        out.write(ByteBuffer.allocate(4).putInt(registered.id()).array());
        BinaryEncoder encoder = EncoderFactory.get().binaryEncoder(out, null);
        new GenericDatumWriter<GenericRecord>(registered.schema()).write(value, encoder);
        encoder.flush();
        // Said is what is acknowledged: this waits for it, and throws if it is not.
        producer.send(new ProducerRecord<>(topic, messageKey, out.toByteArray()))
                .get(TIMEOUT.toSeconds(), TimeUnit.SECONDS);
    }

    // In: what this agency may know

    /** Read the inboxes until nothing came for {@code idle}; returns the projections applied, in order. */
    public List<GenericRecord> read(Collection<String> recordTypes, Duration idle) throws Exception {
        consumer.subscribe(recordTypes.stream().map(one -> name + "." + one + ".inbox").toList());
        List<GenericRecord> applied = new ArrayList<>();
        long until = System.nanoTime() + TIMEOUT.toNanos();
        while (System.nanoTime() < until) {
            for (ConsumerRecord<String, byte[]> message : consumer.poll(Duration.ofMillis(500))) {
                until = System.nanoTime() + idle.toNanos();
                // A message without value is a tombstone: it only makes room (R29).
                if (message.value() != null) {
                    GenericRecord projection = decode(message.value());
                    if (apply(message.topic().split("\\.")[1], projection)) {
                        applied.add(projection);
                    }
                }
                acknowledge(message);
            }
        }
        return applied;
    }

    /** Hold what the projection lists, and nothing else of the hub's; false if it is an old one. */
    private boolean apply(String recordType, GenericRecord projection) throws Exception {
        String entity = text(projection.get("entity"));
        Place known = new Place(recordType, entity);
        long version = (Long) projection.get("version");
        if (version <= versions.getOrDefault(known, -1L) || isOvertaken(known, projection)) {
            return false; // Readers ignore what is not newer: messages come twice, and late (R18).
        }
        versions.put(known, version);
        String localId = rowOf(known, projection);
        if (text(projection.get("operation")).equals("upsert")) {
            hold(recordType, localId, entity, projection);
        } else if (localId != null && rows.containsKey(new Place(recordType, localId))) {
            end(new Place(recordType, localId), projection);
        }
        return true;
    }

    private void hold(String recordType, String localId, String entity, GenericRecord projection) throws Exception {
        Place place = new Place(recordType, localId == null ? UUID.randomUUID().toString() : localId);
        Row row = rows.computeIfAbsent(place, unused -> new Row());
        row.created = row.created || localId == null;
        row.entity = entity;
        row.stamp = Math.max(row.stamp, (Long) projection.get("stamp"));
        // The whole of what we may hold from the hub: what is no longer listed goes (R17).
        row.delivered = new HashMap<>();
        GenericRecord image = (GenericRecord) projection.get("record");
        for (Object field : (Collection<?>) projection.get("fields")) {
            row.delivered.put(field.toString(), image == null ? null : plain(image.get(field.toString())));
        }
        if (localId == null) {
            say(recordType, place.id(), "link", Map.of());
        }
    }

    private void end(Place place, GenericRecord projection) throws Exception {
        Row row = rows.get(place);
        if (text(projection.get("operation")).equals("merged")) {
            row.entity = text(projection.get("merged_into")); // Re-point; delete nothing (R21).
            return;
        }
        row.delivered = new HashMap<>();
        if (row.created) {
            // Removed because the hub said so: nobody here deleted it, so it may come back.
            say(place.recordType(), place.id(), "unlink", Map.of());
            rows.remove(place);
        }
    }

    /**
     * Whether the row that it names has become another entity's since, by that one's higher version: two
     * partitions have no order, so a merge may come before what was said earlier.
     */
    private boolean isOvertaken(Place known, GenericRecord projection) {
        String localId = projection.get("local_id") == null ? null : text(projection.get("local_id"));
        Row row = rows.get(new Place(known.recordType(), localId));
        if (row == null || row.entity == null || row.entity.equals(known.id())) {
            return false;
        }
        Place holder = new Place(known.recordType(), row.entity);
        return localId.equals(named.get(holder)) && versions.get(holder) > (Long) projection.get("version");
    }

    /**
     * The row that the hub names, else the one that we made: unless it had named one, and names it no longer.
     * That one stands for somebody else now, and the entity gets a new one (R21).
     */
    private String rowOf(Place known, GenericRecord projection) {
        if (projection.get("local_id") != null) {
            String localId = text(projection.get("local_id"));
            named.put(known, localId);
            return localId;
        }
        if (!text(projection.get("operation")).equals("upsert") || !named.containsKey(known)) {
            return localId(known);
        }
        Row former = rows.get(new Place(known.recordType(), named.remove(known)));
        if (former != null && known.id().equals(former.entity)) {
            former.entity = null;
        }
        return null;
    }

    private String localId(Place known) {
        return rows.entrySet().stream()
                .filter(one -> one.getKey().recordType().equals(known.recordType()))
                .filter(one -> known.id().equals(one.getValue().entity))
                .map(one -> one.getKey().id())
                .findFirst()
                .orElse(null);
    }

    /** Tell the hub how far we are: everything before this offset is applied and safe (R29). */
    private void acknowledge(ConsumerRecord<String, byte[]> message) throws Exception {
        TopicPartition place = new TopicPartition(message.topic(), message.partition());
        receipt(place, message.offset() + 1);
        consumer.commitSync(Map.of(place, new OffsetAndMetadata(message.offset() + 1)));
    }

    private void receipt(TopicPartition place, long offset) throws Exception {
        String topic = name + ".receipts";
        GenericRecord receipt = new GenericRecordBuilder(subject(topic).schema())
                .set("topic", place.topic())
                .set("partition", place.partition())
                .set("offset", offset)
                .set("committed_ms", System.currentTimeMillis())
                .build();
        send(topic, place.toString(), receipt);
    }

    // Joining

    /** All that we had before is said: from here on the hub may create records at our side. */
    public void join(Collection<String> recordTypes) throws Exception {
        for (String recordType : recordTypes) {
            List<TopicPartition> places = consumer.partitionsFor(name + "." + recordType + ".changes").stream()
                    .map(one -> new TopicPartition(one.topic(), one.partition()))
                    .toList();
            for (Map.Entry<TopicPartition, Long> end : consumer.endOffsets(places).entrySet()) {
                receipt(end.getKey(), end.getValue());
            }
        }
    }

    // Schemas: looked up, never registered; only the hub's release does that (R5)

    private Registered subject(String topic) throws IOException, InterruptedException {
        Registered known = bySubject.get(topic);
        if (known == null) {
            JsonNode found = ask("/subjects/" + topic + "-value/versions/latest");
            known = new Registered(found.get("id").asInt(), new Schema.Parser().parse(found.get("schema").asText()));
            bySubject.put(topic, known);
        }
        return known;
    }

    private GenericRecord decode(byte[] framed) throws IOException, InterruptedException {
        int id = ByteBuffer.wrap(framed, 1, 4).getInt();
        Schema schema = byId.get(id);
        if (schema == null) {
            schema = new Schema.Parser().parse(ask("/schemas/ids/" + id).get("schema").asText());
            byId.put(id, schema);
        }
        return new GenericDatumReader<GenericRecord>(schema)
                .read(null, DecoderFactory.get().binaryDecoder(framed, 5, framed.length - 5, null));
    }

    private JsonNode ask(String path) throws IOException, InterruptedException {
        HttpResponse<String> answer = http.send(
                HttpRequest.newBuilder(URI.create(registry + path)).timeout(TIMEOUT).build(),
                HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() != 200) {
            throw new IOException(path + ": the registry answers " + answer.statusCode() + ": " + answer.body());
        }
        return JSON.readTree(answer.body());
    }

    // Values

    /** Of a union with null, the other type. */
    private static Schema present(Schema union) {
        return union.getTypes().stream().filter(one -> one.getType() != Schema.Type.NULL).findFirst().orElseThrow();
    }

    private static String text(Object value) {
        return value == null ? null : value.toString();
    }

    /** Avro's own classes for text and codes as plain text, so that values can be compared. */
    private static Object plain(Object value) {
        if (value instanceof CharSequence || value instanceof GenericData.EnumSymbol) {
            return value.toString();
        }
        return value instanceof Collection<?> list ? list.stream().map(StockClient::plain).toList() : value;
    }

    /** A field's value from the command line; lists are separated by commas, dates as 1990-05-01. */
    private static Object parsed(Schema record, String field, String given) {
        if (record.getField(field) == null) {
            String known = record.getFields().stream().map(Schema.Field::name).collect(Collectors.joining(", "));
            throw new IllegalArgumentException("no field " + field + "; there are " + known);
        }
        Schema schema = record.getField(field).schema();
        schema = schema.getType() == Schema.Type.UNION ? present(schema) : schema;
        if (given.isEmpty()) {
            return null; // Known to be empty.
        }
        try {
            return switch (schema.getType()) {
                case INT -> schema.getLogicalType() instanceof LogicalTypes.Date
                        ? (Object) (int) LocalDate.parse(given).toEpochDay()
                        : (Object) Integer.valueOf(given);
                case LONG -> Long.valueOf(given);
                case BOOLEAN -> switch (given) {
                    case "true" -> true;
                    case "false" -> false;
                    default -> throw new IllegalArgumentException(field + ": true or false, not '" + given + "'");
                };
                case ENUM -> new GenericData.EnumSymbol(schema, given);
                case ARRAY -> List.of(given.split(","));
                default -> given;
            };
        } catch (DateTimeParseException | NumberFormatException error) {
            throw new IllegalArgumentException(
                    field + ": '" + given + "' is no number, and no day like 1990-05-01", error);
        }
    }

    @Override
    public void close() {
        consumer.close();
        producer.close(TIMEOUT);
    }

    /** The command line: {@code AGENCY say TYPE ID OPERATION field=text… | join TYPE… | read TYPE…}. */
    public static void main(String[] arguments) {
        if (arguments.length < 3 || (arguments[1].equals("say") && arguments.length < 5)) {
            System.err.println("AGENCY say TYPE ID OPERATION field=text… | AGENCY join TYPE… | AGENCY read TYPE…");
            System.exit(2);
        }
        try {
            run(arguments);
        } catch (Exception error) {
            boolean mistake = error instanceof IllegalArgumentException;
            System.err.println("StockClient: " + (mistake ? error.getMessage() : error));
            System.exit(1);
        }
    }

    private static void run(String[] arguments) throws Exception {
        List<String> rest = Arrays.asList(arguments).subList(2, arguments.length);
        byte[] key = Files.readAllBytes(Path.of(set("JISR_AGENCY_KEY_FILE")));
        try (StockClient agency =
                new StockClient(arguments[0], set("JISR_BOOTSTRAP"), set("JISR_REGISTRY_URL"), key)) {
            switch (arguments[1]) {
                case "say" -> System.out.println(agency.sayFrom(rest));
                case "join" -> agency.join(rest);
                case "read" -> agency.read(rest, Duration.ofSeconds(5)).forEach(System.out::println);
                default -> throw new IllegalArgumentException("say, join or read, not " + arguments[1]);
            }
        }
    }

    private static String set(String variable) {
        String value = System.getenv(variable);
        if (value == null) {
            throw new IllegalArgumentException("the variable " + variable + " is not set");
        }
        return value;
    }

    private GenericRecord sayFrom(List<String> given) throws Exception {
        String recordType = given.get(0);
        Schema change = subject(name + "." + recordType + ".changes").schema();
        Schema record = present(change.getField("record").schema());
        Map<String, Object> values = new HashMap<>();
        for (String pair : given.subList(3, given.size())) {
            String[] parts = pair.split("=", 2);
            if (parts.length < 2) {
                throw new IllegalArgumentException(pair + ": field=text expected; field= says that it is empty");
            }
            values.put(parts[0], parsed(record, parts[0], parts[1]));
        }
        return say(recordType, given.get(1), given.get(2), values);
    }
}
