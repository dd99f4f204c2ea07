// Output from the ring to every connection that is attached, each at its own pace; input from them to the program.
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "session.h"

enum { FRAMES_AT_ONCE = 8 };

static unsigned long long oldest(const struct session *s) { return s->end > RING ? s->end - RING : 0; }

// ---- The ring

static bool is_error_byte(const struct session *s, unsigned long long at) {
  return s->kinds && (s->kinds[at % RING / 8] >> at % 8 & 1);
}

static void mark_kinds(struct session *s, unsigned long long from, size_t length, bool error) {
  if (!s->kinds) return;
  for (size_t i = 0; i < length;) {
    size_t at = (from + i) % RING;
    if (at % 8 == 0 && length - i >= 8) {
      size_t whole = (length - i) / 8, room = (RING - at) / 8;
      if (whole > room) whole = room;
      memset(s->kinds + at / 8, error ? 255 : 0, whole);
      i += whole * 8;
    } else {
      unsigned char bit = (unsigned char)(1 << at % 8);
      if (error) s->kinds[at / 8] |= bit;
      else s->kinds[at / 8] &= (unsigned char)~bit;
      i++;
    }
  }
}

// How many bytes from `at` on are of one kind, at most `limit`.
static size_t run_length(const struct session *s, unsigned long long at, size_t limit) {
  if (!s->kinds) return limit;
  bool error = is_error_byte(s, at);
  size_t length = 1;
  while (length < limit) {
    size_t place = (at + length) % RING;
    if (place % 8 == 0 && limit - length >= 8 && s->kinds[place / 8] == (error ? 255 : 0)) length += 8;
    else if (is_error_byte(s, at + length) == error) length++;
    else break;
  }
  return length;
}

size_t room_in_ring(const struct session *s) {
  unsigned long long fastest = 0;
  bool alone = true;
  for (size_t i = 0; i < s->count; i++) {
    if (s->attached[i].leaving) continue;
    alone = false;
    if (s->attached[i].at > fastest) fastest = s->attached[i].at;
  }
  if (alone) return AHEAD; // Nobody to wait for.
  return s->end - fastest < AHEAD ? AHEAD - (size_t)(s->end - fastest) : 0;
}

bool read_output(struct session *s, int from, bool error, bool last) {
  size_t room = room_in_ring(s), total = 0;
  while (total < room) {
    size_t at = s->end % RING, part = RING - at;
    if (part > room - total) part = room - total;
    ssize_t got = read(from, s->ring + at, part);
    if (got <= 0) return !last && got < 0 && (errno == EAGAIN || errno == EINTR);
    mark_kinds(s, s->end, (size_t)got, error);
    s->end += (size_t)got;
    total += (size_t)got;
    // A terminal gives a page at a time; less is all there is.
    if (!last && (size_t)got < part && got < 2048) break;
  }
  return true;
}

// ---- To the attached

void add_number_field(struct buffer *record, const char *name, unsigned long long number) {
  char text[24];
  snprintf(text, sizeof text, "%llu", number);
  add_text_field(record, name, text);
}

static void greet(struct session *s, struct attachment *a) {
  struct buffer record = {0};
  const unsigned char *size = s->program.size;
  add_text_field(&record, "session", s->id);
  add_number_field(&record, "oldest", oldest(s));
  add_number_field(&record, "from", a->at);
  add_number_field(&record, "end", s->end);
  add_number_field(&record, "received", a->writer ? a->writer->taken : 0);
  add_number_field(&record, "rows", (unsigned)(size[0] << 8 | size[1]));
  add_number_field(&record, "cols", (unsigned)(size[2] << 8 | size[3]));
  add_text_field(&record, "isTerminal", s->program.terminal ? "1" : "0");
  add_frame(&a->out, ATTACHED, record.at, record.length);
  free(record.at);
}

static void leave(struct attachment *a) {
  a->leaving = true;
  a->gone_by = monotonic_ms() + 30 * LINGER_MS;
}

void leave_with(struct attachment *a, const char *code, const char *message) {
  if (a->leaving) return;
  add_error(&a->out, code, message);
  leave(a);
}

void add_ack(struct attachment *a) {
  unsigned char bytes[8];
  a->told = a->writer->taken;
  for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(a->told >> (56 - 8 * i));
  add_frame(&a->out, INPUT_TAKEN, bytes, sizeof bytes);
}

bool owes_ack(const struct attachment *a) { return a->writer && a->told != a->writer->taken && !a->leaving; }

// What was sent of the frames that `parts` are; the rest of a frame that was begun is kept.
static void account(struct attachment *a, const struct iovec *parts, int count, size_t sent) {
  size_t of_out = sent < a->out.length ? sent : a->out.length;
  sent -= of_out;
  drop_front(&a->out, of_out);
  if (a->out.length) return;
  for (int i = 1; i < count && sent > 0; i += 3) {
    size_t payload = parts[i + 1].iov_len + parts[i + 2].iov_len, whole = HEADER + payload;
    a->at += payload;
    if (sent >= whole) {
      sent -= whole;
      continue;
    }
    for (int part = i; part < i + 3; part++) {
      size_t gone = sent < parts[part].iov_len ? sent : parts[part].iov_len;
      append(&a->out, (char *)parts[part].iov_base + gone, parts[part].iov_len - gone);
      sent -= gone;
    }
  }
}

bool send_output(struct session *s, struct attachment *a) {
  for (;;) {
    if (a->out.length == 0 && !a->leaving) {
      if (a->at < oldest(s)) {
        a->at = oldest(s);
        greet(s, a);
      }
      bool has_news = a->at < s->end;
      if (owes_ack(a) && (has_news || a->writer->taken - a->told >= ACK_EVERY)) add_ack(a);
    }
    unsigned char headers[FRAMES_AT_ONCE][HEADER];
    struct iovec parts[1 + 3 * FRAMES_AT_ONCE];
    parts[0] = (struct iovec){a->out.at, a->out.length};
    int count = 1;
    size_t total = a->out.length;
    unsigned long long at = a->at;
    // What is left of an older frame may be followed by newer ones only while the ring still has their bytes.
    for (int n = 0; n < FRAMES_AT_ONCE && at < s->end && at >= oldest(s) && !a->leaving; n++, count += 3) {
      size_t limit = s->end - at < CHUNK ? (size_t)(s->end - at) : CHUNK;
      size_t length = run_length(s, at, limit), place = at % RING;
      size_t first = length < RING - place ? length : RING - place;
      unsigned char header[HEADER] = {length >> 24, length >> 16, length >> 8, length, is_error_byte(s, at) ? STDERR : STDOUT};
      memcpy(headers[n], header, HEADER);
      parts[count] = (struct iovec){headers[n], HEADER};
      parts[count + 1] = (struct iovec){s->ring + place, first};
      parts[count + 2] = (struct iovec){s->ring, length - first};
      at += length;
      total += HEADER + length;
    }
    if (total == 0) {
      a->full = false;
      if (a->leaving || s->phase != ENDED) return true;
      unsigned char code = (unsigned char)s->exit_code;
      if (owes_ack(a)) add_ack(a);
      add_frame(&a->out, EXIT, &code, 1);
      leave(a);
      continue;
    }
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
    ssize_t sent = sendmsg(a->socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return false;
    if (sent > 0) account(a, parts, count, (size_t)sent);
    a->full = sent < (ssize_t)total;
    if (a->full) return true;
    if (a->leaving && !a->shut) { // Frames of its that nobody read would make the kernel reset the connection.
      a->shut = true;
      a->gone_by = monotonic_ms() + LINGER_MS;
      shutdown(a->socket, SHUT_WR);
    }
  }
}

// ---- From the attached

static void take_input(struct session *s, struct attachment *a, struct bytes bytes) {
  if (a->writer) a->writer->taken += bytes.length;
  s->pieces = 0;
  if (s->phase == RUNNING && s->program.to >= 0 && !s->input_ended) append(&s->input, bytes.at, bytes.length);
}

static void take_frame(struct session *s, struct attachment *a, int kind, struct bytes payload) {
  if (kind < STDIN || kind > RESIZE) leave_with(a, "bad_request", "this frame makes no sense here");
  else if (!a->writes) leave_with(a, "forbidden", "attached for reading only");
  else if (kind == STDIN) take_input(s, a, payload);
  else if (kind == STDIN_EOF) s->input_ended = true;
  else if (kind == SIGNAL && payload.length == 1) signal_program(&s->program, payload.at[0]);
  else if (kind == RESIZE && payload.length == 4) resize_program(&s->program, payload.at);
  else leave_with(a, "bad_request", "this frame makes no sense here");
}

void take_frames(struct session *s, struct attachment *a) {
  size_t at = 0;
  int kind;
  struct bytes payload;
  while (!a->leaving && next_frame(&a->in, &at, &kind, &payload)) take_frame(s, a, kind, payload);
  if (a->leaving) a->in.length = 0;
  else drop_front(&a->in, at);
}

bool read_client(struct session *s, struct attachment *a) {
  static unsigned char chunk[CHUNK];
  ssize_t got = recv(a->socket, chunk, sizeof chunk, MSG_DONTWAIT);
  if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return false;
  if (got > 0 && !a->leaving) {
    append(&a->in, chunk, (size_t)got);
    take_frames(s, a);
  }
  return true;
}

void feed_program(struct session *s) {
  int to = s->program.to;
  while (to >= 0 && s->input_at < s->input.length) {
    ssize_t wrote = write(to, s->input.at + s->input_at, s->input.length - s->input_at);
    if (wrote > 0) {
      s->input_at += (size_t)wrote;
    } else if (wrote < 0 && (errno == EAGAIN || errno == EINTR)) {
      break;
    } else { // It reads no more.
      close(to);
      s->program.to = to = -1;
    }
  }
  if (to < 0 || s->input_at == s->input.length) s->input.length = s->input_at = 0;
  if (s->input_at >= STDIN_LIMIT / 2) {
    drop_front(&s->input, s->input_at);
    s->input_at = 0;
  }
  if (to >= 0 && s->input_ended && s->input.length == 0 && !s->program.terminal) {
    close(to);
    s->program.to = -1;
  }
}

// ---- Coming and going

void detach(struct session *s, size_t place) {
  struct attachment *a = &s->attached[place];
  close(a->socket);
  free(a->in.at);
  free(a->out.at);
  s->attached[place] = s->attached[--s->count];
}

static bool is_attached(const struct session *s, const struct writer *writer) {
  for (size_t i = 0; i < s->count; i++)
    if (s->attached[i].writer == writer) return true;
  return false;
}

// The writer of that name; of those who are away, the one that was so longest makes room for a new one.
static struct writer *find_writer(struct session *s, const char *name) {
  struct writer *found = NULL;
  for (struct writer *w = s->writers; w < s->writers + MAX_WRITERS; w++) {
    if (strcmp(w->name, name) == 0) return w;
    if (!is_attached(s, w) && (!found || w->used < found->used)) found = w;
  }
  *found = (struct writer){0};
  snprintf(found->name, sizeof found->name, "%s", name);
  return found;
}

void refuse(int socket, const char *code, const char *message) {
  struct buffer out = {0};
  add_error(&out, code, message);
  ssize_t ignored = send(socket, out.at, out.length, MSG_DONTWAIT | MSG_NOSIGNAL);
  (void)ignored;
  free(out.at);
  shutdown(socket, SHUT_WR);
  close(socket);
}

void attach(struct session *s, const struct mail *mail) {
  char *from = text_field(mail->record, "from"), *mode = text_field(mail->record, "mode");
  char *writer = text_field(mail->record, "writer");
  bool writes = mode && strcmp(mode, "write") == 0;
  if (!writes || !writer || strlen(writer) >= NAME_ROOM || !*writer) {
    free(writer);
    writer = NULL;
  }
  // What an older connection of this writer still holds was not counted, so it may not count any more.
  for (size_t i = s->count; writer && i-- > 0;)
    if (s->attached[i].writer && strcmp(s->attached[i].writer->name, writer) == 0) detach(s, i);
  if (s->count == MAX_ATTACHED) {
    refuse(mail->file, "too_many_sessions", "too many connections are attached to this session");
  } else {
    struct attachment *a = &s->attached[s->count++];
    *a = (struct attachment){.socket = mail->file, .writes = writes, .at = oldest(s)};
    unsigned long long asked = from ? strtoull(from, NULL, 10) : 0;
    if (asked > a->at) a->at = asked < s->end ? asked : s->end;
    if (writer) {
      a->writer = find_writer(s, writer);
      a->writer->used = ++s->attaches;
      a->told = a->writer->taken;
    }
    greet(s, a);
    append(&a->in, mail->rest.at, mail->rest.length);
    take_frames(s, a);
  }
  free(from);
  free(mode);
  free(writer);
}
