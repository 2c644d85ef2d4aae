/*
 * The log's file operations over MPI-IO: MPI_File_open on MPI_COMM_SELF, blocking
 * MPI_File_write_at, nothing collective. The context is a struct mpi_start; the first
 * call on the I/O thread starts MPI, the last one ends it.
 */
#ifndef HQ_MPI_MPI_IO_H
#define HQ_MPI_MPI_IO_H

#include "mpi/mpi_start.h"
#include "outlog/io_ops.h"

extern const struct outlog_io_ops mpi_io_ops;

#endif
