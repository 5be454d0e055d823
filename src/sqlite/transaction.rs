//! Writes that are whole or not there.

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use super::error::DatabaseError;

pub(super) fn begin(connection: &mut Connection) -> Result<Transaction<'_>, DatabaseError> {
    Ok(connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
}

pub(super) fn commit(transaction: Transaction<'_>) -> Result<(), DatabaseError> {
    transaction.commit().map_err(|error| {
        // A busy commit leaves the transaction open, and it is undone on drop. After any other
        // error the last page may or may not have reached the disk.
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy) => DatabaseError::Failed(error),
            _ => DatabaseError::Commit(error),
        }
    })
}
