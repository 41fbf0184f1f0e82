#pragma once

/* Lets malloc have one arena for every two cores instead of eight for each. What one thread frees is then room for
   another: a batch is freed by another thread than the one that made it, and with many arenas each of them keeps its
   own share of half-empty pages. Call it before there are threads. */
void nebula_limit_arenas(void);
