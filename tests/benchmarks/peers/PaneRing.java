// A peer: the same totals with Kafka Streams' Processor API, a ring of panes for each topic and user, exactly once.
// It has no deduplication, late events, cuts or flags.
//
//     PEER_BROKERS=127.0.0.1:9092 PEER_PROGRESS=count.txt java -cp 'libs/*' PaneRing.java

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.atomic.LongAdder;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

public final class PaneRing {
    private static final long PANE_MS = 15 * 60 * 1000;
    private static final int PANES = 96;
    private static final int ENTRY_BYTES = 16;
    private static final String POSTS = "influence.posts";
    private static final String SHARES = "influence.shares";
    private static final String STORE = "rings";
    private static final JsonFactory JSON = new JsonFactory();
    private static final LongAdder COUNTED = new LongAdder();

    /** What is read of an event; other fields of the JSON are ignored. */
    private record Event(long ts, String user, long audience, List<String> topics) {
        static Event of(byte[] json) throws IOException {
            long ts = 0;
            long audience = 0;
            String user = "";
            List<String> topics = new ArrayList<>(2);
            try (JsonParser parser = JSON.createParser(json)) {
                parser.nextToken();
                while (parser.nextToken() != JsonToken.END_OBJECT) {
                    String name = parser.currentName();
                    parser.nextToken();
                    switch (name) {
                        case "ts" -> ts = parser.getLongValue();
                        case "audience" -> audience = parser.getLongValue();
                        case "user_id" -> user = parser.getText();
                        case "topics" -> {
                            while (parser.nextToken() != JsonToken.END_ARRAY) {
                                topics.add(parser.getText());
                            }
                        }
                        default -> parser.skipChildren();
                    }
                }
            }
            return new Event(ts, user, audience, topics);
        }
    }

    /** Adds each event to the rings of its user: in `*`, and in each topic. A ring is pane, posts, impressions, … */
    private static final class Adder implements Processor<byte[], byte[], Void, Void> {
        private KeyValueStore<String, byte[]> rings;
        private ProcessorContext<Void, Void> context;

        @Override
        public void init(ProcessorContext<Void, Void> context) {
            this.context = context;
            this.rings = context.getStateStore(STORE);
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            boolean isPost = context.recordMetadata().orElseThrow().topic().equals(POSTS);
            Event event;
            try {
                event = Event.of(record.value());
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
            add("*", event, isPost);
            for (String topic : event.topics()) {
                add(topic, event, isPost);
            }
            COUNTED.increment();
        }

        private void add(String topic, Event event, boolean isPost) {
            String key = topic + "\0" + event.user();
            rings.put(key, added(rings.get(key), (int) (event.ts() / PANE_MS), isPost ? 1 : 0, event.audience()));
        }

        private static byte[] added(byte[] ring, int pane, int posts, long impressions) {
            ByteBuffer old = ByteBuffer.wrap(ring == null ? new byte[0] : ring);
            ByteBuffer fresh = ByteBuffer.allocate(old.remaining() + ENTRY_BYTES);
            boolean isThere = false;
            while (old.hasRemaining()) {
                int number = old.getInt();
                int count = old.getInt();
                long sum = old.getLong();
                if (number <= pane - PANES) {
                    continue;
                }
                boolean isIt = number == pane;
                isThere |= isIt;
                fresh.putInt(number).putInt(isIt ? count + posts : count).putLong(isIt ? sum + impressions : sum);
            }
            if (!isThere) {
                fresh.putInt(pane).putInt(posts).putLong(impressions);
            }
            return Arrays.copyOf(fresh.array(), fresh.position());
        }
    }

    public static void main(String[] arguments) throws Exception {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, "peer-streams");
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, System.getenv("PEER_BROKERS"));
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, System.getenv("PEER_PROGRESS") + ".state");
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 256L << 20);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");

        Topology topology = new Topology();
        topology.addSource("events", Serdes.ByteArray().deserializer(), Serdes.ByteArray().deserializer(), POSTS, SHARES);
        topology.addProcessor("adder", Adder::new, "events");
        topology.addStateStore(
            Stores.keyValueStoreBuilder(Stores.inMemoryKeyValueStore(STORE), Serdes.String(), Serdes.ByteArray())
                .withCachingEnabled(),
            "adder");

        KafkaStreams streams = new KafkaStreams(topology, settings);
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
        Path progress = Path.of(System.getenv("PEER_PROGRESS"));
        while (true) {
            Files.writeString(progress, Long.toString(COUNTED.sum()));
            Thread.sleep(100);
        }
    }
}
