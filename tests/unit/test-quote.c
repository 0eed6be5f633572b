/* SPDX-License-Identifier: MIT */
/* fs/quote: names as one word of a shell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "quote.h"

static void expect(const char *bytes, size_t len, const char *wanted)
{
        char *quoted = quote_shell(bytes, len);

        assert_non_null(quoted);
        assert_string_equal(quoted, wanted);
        free(quoted);
}

static void plain_names_stay(void **state)
{
        expect("a", 1, "a");
        expect("objects/12-ab_c.d", 17, "objects/12-ab_c.d");
        expect("-rf", 3, "-rf");
}

static void special_ones_are_quoted(void **state)
{
        expect("", 0, "''");
        expect("a b", 3, "'a b'");
        expect("$HOME", 5, "'$HOME'");
        expect("it's", 4, "'it'\\''s'");
        expect("~", 1, "'~'");
        expect("\303\274ber", 5, "'\303\274ber'");
}

static void what_cannot_be_shown_is_octal(void **state)
{
        expect("a\nb", 3, "$'a\\012b'");
        expect("\033[2J", 4, "$'\\033[2J'");
        expect("'\\\t", 3, "$'\\'\\\\\\011'");
        /* cut and wrong UTF-8; a C1 control character in UTF-8 */
        expect("\303", 1, "$'\\303'");
        expect("\377x1", 3, "$'\\377x1'");
        expect("\302\233m", 3, "$'\\302\\233m'");
        /* what can be shown stays beside it */
        expect("\303\274\n", 3, "$'\303\274\\012'");
}

/* Reads back through bash what QUOTED stands for. */
static size_t through_shell(const char *quoted, char *out, size_t size)
{
        char *command;
        FILE *shell;
        size_t n;

        assert_true(asprintf(&command, "exec bash -c \"$(cat <<'END'\nprintf %%s %s\nEND\n)\"",
                             quoted) > 0);
        shell = popen(command, "r");
        assert_non_null(shell);
        n = fread(out, 1, size, shell);
        assert_int_equal(pclose(shell), 0);
        free(command);
        return n;
}

static void a_shell_gives_every_byte_back(void **state)
{
        char name[255], read[300];

        for (unsigned i = 0; i < 255; i++)
                name[i] = (char)(255 - i);
        for (size_t len = 1; len <= 255; len += 127) {
                char *quoted = quote_shell(name, len);

                assert_non_null(quoted);
                assert_int_equal(through_shell(quoted, read, sizeof(read)), len);
                assert_memory_equal(read, name, len);
                free(quoted);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(plain_names_stay),
                cmocka_unit_test(special_ones_are_quoted),
                cmocka_unit_test(what_cannot_be_shown_is_octal),
                cmocka_unit_test(a_shell_gives_every_byte_back),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
