package idgw.client

import com.google.protobuf.Message
import io.grpc.StatusException
import io.grpc.stub.AbstractStub
import java.util.concurrent.TimeUnit.MILLISECONDS
import kotlin.time.Duration
import kotlin.time.toJavaDuration

/** Makes a call of a coroutine stub whose errors are [GatewayException]. */
suspend fun <A> typed(call: suspend () -> A): A =
    try {
        call()
    } catch (error: StatusException) {
        throw GatewayException.of(error)
    }

/**
 * Makes a call, and makes it again with twice the time whenever its deadline has passed: [Calls.untilAnswered] for
 * coroutine stubs.
 */
suspend fun <S : AbstractStub<S>, Q : Message, A> S.untilAnswered(
    request: Q,
    limit: Duration,
    late: (GatewayException) -> Unit = {},
    call: suspend S.(Q) -> A,
): A {
    Calls.requireRequestId(request)
    val again = Calls.Again(limit.toJavaDuration())
    while (true) {
        try {
            return typed { withDeadlineAfter(again.limit.toMillis(), MILLISECONDS).call(request) }
        } catch (error: GatewayException) {
            if (again.isOver(error)) throw error
            late(error)
        }
    }
}
