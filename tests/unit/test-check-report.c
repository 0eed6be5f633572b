/* SPDX-License-Identifier: MIT */
/* fs/check_report: what is printed, and when progress is due. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "check_report.h"
#include "command.h"

static struct check_report report;
static FILE *captured;
static int stream_fd, saved;

static int setup(void **state)
{
        report = (struct check_report){.json = false};
        check_report_init(&report, "/store");
        captured = NULL;
        return 0;
}

/* What goes to STREAM until release(). */
static void capture(FILE *stream)
{
        captured = tmpfile();
        assert_non_null(captured);
        fflush(stream);
        stream_fd = fileno(stream);
        saved = dup(stream_fd);
        assert_true(dup2(fileno(captured), stream_fd) >= 0);
}

static const char *release(void)
{
        static char text[1024];
        size_t n;

        fflush(NULL);
        dup2(saved, stream_fd);
        close(saved);
        rewind(captured);
        n = fread(text, 1, sizeof(text) - 1, captured);
        text[n] = '\0';
        fclose(captured);
        return text;
}

static const struct bm_finding damaged = {
        .kind = BM_CHECK_RECORD,
        .map_id = 7,
        .key = "\xff"
               "b",
        .key_len = 2,
        .path = "some dir",
        .message = "checksum of \"it\"",
};

static void findings_for_people(void **state)
{
        struct bm_finding other = {.kind = BM_CHECK_INDEX, .message = "bad"};

        capture(stdout);
        check_report_finding(&report, &damaged);
        check_report_finding(&report, &other);
        other.map_id = 3;
        check_report_finding(&report, &other);
        other.path = "dir/below/";
        check_report_finding(&report, &other);
        assert_string_equal(release(), "$'some dir/\\377b': checksum of \"it\"\n"
                                       "(no key): bad\n(map 3): bad\ndir/below/: bad\n");
        assert_int_equal(report.n_findings, 4);
}

static void findings_for_programs(void **state)
{
        const struct bm_finding other = {.kind = BM_CHECK_STRUCTURE, .message = "\xff"};

        report.json = true;
        capture(stdout);
        check_report_finding(&report, &damaged);
        check_report_finding(&report, &other);
        assert_string_equal(release(),
                            "{\"type\":\"finding\",\"kind\":\"record\",\"message\":\"checksum of "
                            "\\\"it\\\"\",\"name\":{\"bytes\":\"c29tZSBkaXIv/2I=\"},\"key\":{"
                            "\"bytes\":\"/2I=\"},\"map\":\"7\"}\n"
                            "{\"type\":\"finding\",\"kind\":\"structure\",\"message\":\"?\"}\n");
}

static void a_summary_is_the_last(void **state)
{
        report.json = true;
        report.done_bytes = 5000000000;
        capture(stdout);
        assert_int_equal(check_report_end(&report, 0), COMMAND_FINE);
        assert_string_equal(release(), "{\"type\":\"summary\",\"store\":{\"text\":\"/store\"},"
                                       "\"result\":\"clean\",\"findings\":0,"
                                       "\"checked_bytes\":5000000000}\n");
}

static void progress_when_asked(void **state)
{
        capture(stderr);
        check_report_progress(&report, 10, 100);
        report.asked = 1;
        check_report_progress(&report, 1024, 2048);
        check_report_progress(&report, 2048, 2048);
        assert_string_equal(release(), "/store:  50 % of 2.0 KiB, 1.0 KiB checked\n");
}

static void progress_now_and_then(void **state)
{
        report.interval = 1000;
        capture(stderr);
        check_report_progress(&report, 0, 100);
        report.last.tv_sec -= 1000;
        check_report_progress(&report, 50, 100);
        check_report_progress(&report, 60, 100);
        report.last.tv_sec -= 1001;
        check_report_progress(&report, 70, 100);
        assert_string_equal(release(), "/store:  50 % of 100 bytes, 50 bytes checked\n"
                                       "/store:  70 % of 100 bytes, 70 bytes checked\n");
}

static void progress_on_a_terminal_keeps_to_a_line(void **state)
{
        report.terminal = true;
        capture(stderr);
        check_report_progress(&report, 50, 100);
        check_report_progress(&report, 50, 100);
        report.asked = 1;
        check_report_progress(&report, 50, 100);
        assert_string_equal(release(), "\r/store:  50 % of 100 bytes, 50 bytes checked\033[K"
                                       "\r\033[K/store:  50 % of 100 bytes, 50 bytes checked\n"
                                       "\r/store:  50 % of 100 bytes, 50 bytes checked\033[K");
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(findings_for_people),   TEST(findings_for_programs),
                TEST(a_summary_is_the_last), TEST(progress_when_asked),
                TEST(progress_now_and_then), TEST(progress_on_a_terminal_keeps_to_a_line),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
