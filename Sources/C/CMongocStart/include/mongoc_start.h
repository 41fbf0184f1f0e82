#pragma once
/* Nothing to call: linking it is enough. See no_shared_counters.c. */
