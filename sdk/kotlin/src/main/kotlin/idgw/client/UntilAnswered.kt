package idgw.client

import com.google.protobuf.Message
import io.grpc.StatusException
import io.grpc.stub.AbstractStub
import java.util.concurrent.TimeUnit.MILLISECONDS
import kotlin.time.Duration
import kotlin.time.toJavaDuration
import kotlin.time.toKotlinDuration
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.delay
import kotlinx.coroutines.ensureActive

/** Makes a call of a coroutine stub whose errors are [GatewayException]. */
suspend fun <A> typed(call: suspend () -> A): A =
    try {
        call()
    } catch (error: StatusException) {
        throw GatewayException.of(error)
    }

/**
 * Makes a call, and makes it again until its answer is there or cannot be had any more: [Calls.untilAnswered] for coroutine
 * stubs. It ends with its coroutine, too.
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
            currentCoroutineContext().ensureActive()
            if (again.isOver(error)) throw error
            late(error)
            delay(again.wait.toKotlinDuration())
        }
    }
}
