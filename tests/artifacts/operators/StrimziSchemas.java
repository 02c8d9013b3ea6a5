// Writes the JSON Schema of one Strimzi resource, as its API classes have it, for version v1.
import com.fasterxml.jackson.annotation.JsonSubTypes;
import com.fasterxml.jackson.annotation.JsonTypeInfo;
import com.fasterxml.jackson.databind.JavaType;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.introspect.BeanPropertyDefinition;
import java.lang.reflect.AnnotatedElement;
import java.util.*;

class StrimziSchemas {
    static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] names) throws Exception {
        Map<String, Object> all = new TreeMap<>();
        for (String name : names) {
            Class<?> kind = Class.forName("io.strimzi.api.kafka.model." + name);
            Map<String, Object> properties = new TreeMap<>();
            for (BeanPropertyDefinition each : properties(kind)) {
                if (each.getName().equals("spec")) properties.put("spec", schema(type(each), new ArrayDeque<>()));
            }
            properties.put("apiVersion", Map.of("type", "string"));
            properties.put("kind", Map.of("type", "string"));
            properties.put("metadata", Map.of("type", "object", "x-kubernetes-preserve-unknown-fields", true));
            all.put(kind.getSimpleName(), Map.of("type", "object", "properties", properties, "required", List.of("spec")));
        }
        System.out.println(JSON.writeValueAsString(all));
    }

    static List<BeanPropertyDefinition> properties(Class<?> of) {
        return JSON.getSerializationConfig().introspect(JSON.constructType(of)).findProperties();
    }

    static JavaType type(BeanPropertyDefinition property) {
        return property.getPrimaryType();
    }

    static boolean gone(BeanPropertyDefinition property) {
        List<AnnotatedElement> places = new ArrayList<>();
        if (property.getGetter() != null) places.add(property.getGetter().getAnnotated());
        if (property.getField() != null) places.add(property.getField().getAnnotated());
        for (AnnotatedElement place : places) {
            for (var annotation : place.getAnnotations()) {
                if (annotation.annotationType().getSimpleName().equals("PresentInVersions")) {
                    return annotation.toString().matches(".*\\(\"v1beta2\"\\)");
                }
            }
        }
        return false;
    }

    static Map<String, Object> schema(JavaType type, Deque<Class<?>> within) {
        Class<?> raw = type.getRawClass();
        if (raw.isPrimitive() ? raw == boolean.class : raw == Boolean.class) return Map.of("type", "boolean");
        if (Number.class.isAssignableFrom(raw) || raw.isPrimitive())
            return Map.of("type", raw == Double.class || raw == double.class || raw == Float.class ? "number" : "integer");
        if (raw == String.class) return Map.of("type", "string");
        if (raw.isEnum()) {
            List<String> values = new ArrayList<>();
            for (Object each : raw.getEnumConstants()) values.add(JSON.convertValue(each, String.class));
            return Map.of("type", "string", "enum", values);
        }
        if (Map.class.isAssignableFrom(raw)) return Map.of("type", "object", "x-kubernetes-preserve-unknown-fields", true);
        if (type.isCollectionLikeType() || type.isArrayType())
            return Map.of("type", "array", "items", schema(type.getContentType(), within));
        // Kubernetes' own types are those of the pods, which are validated elsewhere.
        if (!raw.getName().startsWith("io.strimzi.") || within.contains(raw))
            return Map.of("x-kubernetes-preserve-unknown-fields", true);
        within.push(raw);
        Map<String, Object> properties = new TreeMap<>();
        collect(raw, properties, within);
        JsonSubTypes kinds = raw.getAnnotation(JsonSubTypes.class);
        JsonTypeInfo told = raw.getAnnotation(JsonTypeInfo.class);
        if (kinds != null) {
            List<String> names = new ArrayList<>();
            for (var each : kinds.value()) {
                names.add(each.name());
                collect(each.value(), properties, within);
            }
            if (told != null) properties.put(told.property(), Map.of("type", "string", "enum", names));
        }
        within.pop();
        return Map.of("type", "object", "properties", properties);
    }

    static void collect(Class<?> of, Map<String, Object> into, Deque<Class<?>> within) {
        for (BeanPropertyDefinition each : properties(of)) {
            if (!each.getName().equals("additionalProperties") && !gone(each))
                into.putIfAbsent(each.getName(), schema(type(each), within));
        }
    }
}
