package sums;

import org.apache.commons.codec.digest.DigestUtils;

/** A text's SHA-256. */
final class Sum {
    private Sum() {}

    /** In lower-case hexadecimal. */
    static String of(String text) {
        return DigestUtils.sha256Hex(text);
    }
}
