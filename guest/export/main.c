#define NODES 1024
#define NODE_BITS (8 * sizeof(unsigned long))
#define EXIT_RELEASED 0
#define EXIT_REFUSED 1
#define EXIT_FAILED 3
#define EXIT_UNSUPPORTED 5

static struct holding holding = {
	.way = THE_WAY,
	.kind = THE_KIND,
	.size_bytes = THE_SIZE_BYTES,
	.hold_bytes = THE_SIZE_BYTES,
	.node = -1,
	.file = -1,
	.watched = true,
};

static int signals;

static void give_up(const char *doing, const struct failure *why) __attribute__((noreturn));

static void give_up(const char *doing, const struct failure *why)
{
	printf("%s %s: %s: %s%s%s\n", why->unsupported ? "unsupported" : "failed", doing,
	       why->call, why->error ? strerror(why->error) : "", *why->advice ? "; " : "",
	       why->advice);
	exit(why->unsupported ? EXIT_UNSUPPORTED : EXIT_FAILED);
}

/* The memory's pages come from the node, and so do those of a file that it maps. */
static void bind_to_node(struct holding *holding)
{
	unsigned long mask[NODES / NODE_BITS] = { 0 };
	struct failure why;

	if (holding->node < 0)
		return;
	mask[(size_t)holding->node / NODE_BITS] = 1UL << ((size_t)holding->node % NODE_BITS);
	if (holding->address && syscall(SYS_mbind, holding->address, holding->size_bytes,
					MPOL_BIND, mask, NODES + 1, 0) < 0) {
		failed(&why, errno, "mbind(node %d)", holding->node);
		give_up("memory", &why);
	}
	if (syscall(SYS_set_mempolicy, MPOL_BIND, mask, NODES + 1) < 0) {
		failed(&why, errno, "set_mempolicy(node %d)", holding->node);
		give_up("memory", &why);
	}
}

static void play(enum trick_point point)
{
	const struct trick *const tricks[] = { THE_TRICKS NULL };
	struct failure why;
	size_t i;

	for (i = 0; tricks[i]; i++)
		if (tricks[i]->at[point] && tricks[i]->at[point](&holding, &why) < 0)
			give_up(tricks[i]->name, &why);
}

static void take_memory(void)
{
	struct failure why;
	size_t offset;

	if (!holding.way->own_memory && holding.kind->map(&holding, &why) < 0)
		give_up("memory", &why);
	play(AFTER_MAP);
	bind_to_node(&holding);
	/* Something else in each page, but where a kind wants them all the same. */
	for (offset = 0; holding.address && offset < holding.size_bytes;
	     offset += holding.page_size_bytes)
		memset(holding.address + offset,
		       holding.kind->uniform ? 1 : (int)(offset / holding.page_size_bytes),
		       holding.page_size_bytes);
	if (holding.kind->settle && holding.kind->settle(&holding, &why) < 0)
		give_up("memory", &why);
	if (syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0) < 0) {
		failed(&why, errno, "set_mempolicy(MPOL_DEFAULT)");
		give_up("memory", &why);
	}
	play(AFTER_MEMORY);
}

static int hold(void)
{
	struct hold_result result = { 0 };
	struct failure why;
	struct json json;

	holding.way->hold(&holding, &result);
	play(AFTER_ATTEMPT);
	if (result.error) {
		printf("refused %s: %s\n", holding.way->call, strerror(result.error));
		return -1;
	}
	if (holding.kind->held && holding.kind->held(&holding, &why) < 0)
		give_up("memory", &why);
	if (holding.way->report)
		holding.way->report(&holding, &json);
	fflush(stdout);
	play(AFTER_HOLD);
	printf("held %zu pages\n", result.pages);
	return 0;
}

/* Until Enter, SIGINT or SIGTERM; that nobody types here (the end of input) is no word. */
static void wait_for_word(void)
{
	struct pollfd sources[] = { { .fd = signals, .events = POLLIN },
				    { .fd = STDIN_FILENO, .events = POLLIN } };
	nfds_t count = 2;
	char byte = '\0';

	fflush(stdout);
	while (!sources[0].revents && byte != '\n') {
		if (poll(sources, count, -1) < 0 && errno != EINTR)
			return;
		if (sources[1].revents && read(STDIN_FILENO, &byte, 1) != 1) {
			count = 1;
			sources[1].revents = 0;
		}
	}
}

/* To be called before anything is held: from then on these signals only end the waiting. */
static void expect_signals(void)
{
	struct failure why;
	sigset_t awaited;

	sigemptyset(&awaited);
	sigaddset(&awaited, SIGINT);
	sigaddset(&awaited, SIGTERM);
	signals = sigprocmask(SIG_BLOCK, &awaited, NULL) < 0 ? -1 :
							       signalfd(-1, &awaited, SFD_CLOEXEC);
	if (signals < 0) {
		failed(&why, errno, "signalfd()");
		give_up("start", &why);
	}
}

static void let_go(void)
{
	struct failure why;

	play(BEFORE_RELEASE);
	if (holding.leaves && holding.leaves_by)
		kill(getpid(), holding.leaves_by);
	if (holding.leaves)
		_exit(EXIT_RELEASED);
	if (holding.way->release(&holding, &why) < 0)
		give_up("release", &why);
	play(AFTER_RELEASE);
	if (holding.kind->release && holding.kind->release(&holding, &why) < 0)
		give_up("release", &why);
	puts("released");
}

int main(int argc, char **argv)
{
	struct failure why;

	holding.page_size_bytes = (size_t)sysconf(_SC_PAGESIZE);
	expect_signals();
	if (argc > 1 && !strcmp(argv[1], "--after-exec")) {
		puts("held by what another program left open");
		wait_for_word();
		return EXIT_RELEASED;
	}
	if (argc == 2)
		holding.node = atoi(argv[1]);
	play(BEFORE_SETUP);
	if (holding.way->setup(&holding, &why) < 0)
		give_up("setup", &why);
	take_memory();
	play(BEFORE_ATTEMPT);
	if (hold() < 0) {
		wait_for_word();
		return EXIT_REFUSED;
	}
	wait_for_word();
	let_go();
	return EXIT_RELEASED;
}
